//! Under whose rights the objects of an Application are written.

use super::context::Context;
use crate::advice::one_line;
use crate::api::Application;
use crate::cluster::Writer;
use crate::project;

/// A writer for the objects of an Application: the controller's own, or that of the ServiceAccount which its project names.
///
/// # Errors
/// With the text to show, when the project names no usable one although it has to.
pub fn writer(app: &Application, cx: &Context) -> Result<Writer, String> {
    let settings = cx.lens.settings();
    if !settings.impersonation.enabled {
        return Ok(cx.writer.clone());
    }
    let project = cx.project_of(app).ok_or_else(|| format!("project {} does not exist", app.project()))?;
    let destination = project::resolve_destination(&app.spec.destination)?;
    let user = project::acts_as(settings.impersonation, &project, &destination, app.namespace())
        .map_err(|error| one_line(&error, &error))?;
    match user {
        Some(user) => cx.writer.acting_as(&user).map_err(|error| one_line(&error, &error)),
        None => Ok(cx.writer.clone()),
    }
}
