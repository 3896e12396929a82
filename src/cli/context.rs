//! What every command needs: the kubectl flags, a client, the namespaces.

use std::fmt;
use std::io::IsTerminal;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;
use tower::util::MapResponseLayer;

use super::kubeconfig::{self, ConnectionError, Selected};
use super::kuberc;
use super::warnings::Warnings;
use super::{Failure, GlobalFlags};

/// What every command needs.
#[derive(Clone, Default)]
pub struct Context {
    /// The global flags.
    pub flags: GlobalFlags,
    client: Arc<OnceCell<kube::Client>>,
    streaming_client: Arc<OnceCell<kube::Client>>,
    warnings: Warnings,
    when_interrupted: Arc<Mutex<Option<String>>>,
    /// Nobody may be asked anything, even in a terminal.
    silent: bool,
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("flags", &self.flags).finish_non_exhaustive()
    }
}

impl Context {
    /// Makes the context of one run of the program.
    #[must_use]
    pub fn new(flags: GlobalFlags) -> Self {
        Self { flags, ..Self::default() }
    }

    /// Keeps credential programs from asking questions, for when nobody waits for one.
    #[must_use]
    pub fn without_questions(mut self) -> Self {
        self.silent = true;
        self
    }

    /// Gives a client for single requests, made from the kubeconfig and the flags. Standard input must have been read before.
    ///
    /// # Errors
    /// When there is no usable kubeconfig or context.
    pub async fn client(&self) -> Result<kube::Client, Failure> {
        let made = self.client.get_or_try_init(|| async {
            let config = self.selected()?.into_config(self.flags.request_timeout).await?;
            self.connect(config)
        });
        made.await.cloned()
    }

    /// Gives a client for watches, which `--request-timeout` does not cut off.
    ///
    /// # Errors
    /// As [`Context::client`].
    pub async fn streaming_client(&self) -> Result<kube::Client, Failure> {
        if self.flags.request_timeout.is_none() {
            return self.client().await;
        }
        let made = self.streaming_client.get_or_try_init(|| async { self.connect(self.selected()?.into_config(None).await?) });
        made.await.cloned()
    }

    /// Namespace of the object named on the command line: `-n`, else that of the kubeconfig context, if it sets one.
    /// `None` as well when there is no kubeconfig at all, so that commands can work offline.
    ///
    /// # Errors
    /// When the kubeconfig is broken, or a named context does not exist.
    pub fn context_namespace(&self) -> Result<Option<String>, Failure> {
        if self.flags.namespace.is_some() {
            return Ok(self.flags.namespace.clone());
        }
        match self.selected() {
            Ok(selected) => Ok(selected.namespace),
            Err(ConnectionError::NoKubeconfig { .. } | ConnectionError::NoContext { .. }) if self.flags.kubeconfig.is_none() => {
                Ok(None)
            }
            Err(other) => Err(other.into()),
        }
    }

    /// Namespace of Applications that are named without one: `-n`, then `GITOPS_NAMESPACE`, then the control namespace.
    #[must_use]
    pub fn application_namespace(&self) -> String {
        let from_environment = || std::env::var("GITOPS_NAMESPACE").ok().filter(|namespace| !namespace.is_empty());
        let named = self.flags.namespace.clone().or_else(from_environment);
        named.unwrap_or_else(|| self.flags.controller_namespace.clone())
    }

    /// Where the command connects to, for messages: `https://10.0.0.1:6443 (context prod)`.
    #[must_use]
    pub fn describe_server(&self) -> String {
        match self.selected() {
            Ok(selected) if selected.context_name.is_empty() => selected.server().to_owned(),
            Ok(selected) => format!("{} (context {})", selected.server(), selected.context_name),
            Err(_) => "the cluster".to_owned(),
        }
    }

    /// The program that makes the credentials, if the user of the kubeconfig has one.
    ///
    /// # Errors
    /// When there is no usable kubeconfig or context.
    pub fn credential_program(&self) -> Result<Option<String>, ConnectionError> {
        Ok(self.selected()?.credential_program().map(str::to_owned))
    }

    /// Name of the kubeconfig user, empty when unknown.
    #[must_use]
    pub fn user_name(&self) -> String {
        self.selected().ok().and_then(|selected| selected.user_name).unwrap_or_default()
    }

    /// Fails when the API server warned and `--warnings-as-errors` is given.
    ///
    /// # Errors
    /// Says how many warnings there were.
    pub fn check_warnings(&self) -> Result<(), Failure> {
        match self.warnings.count() {
            number if number > 0 && self.flags.warnings_as_errors == Some(true) => {
                Err(Failure::new(format!("{number} warning{} received", if number == 1 { "" } else { "s" })))
            }
            _ => Ok(()),
        }
    }

    /// What to tell the user if Ctrl-C ends the command from here on.
    pub fn when_interrupted(&self, note: Option<String>) {
        *self.when_interrupted.lock().unwrap_or_else(PoisonError::into_inner) = note;
    }

    /// Takes the note that [`Context::when_interrupted`] left.
    #[must_use]
    pub fn take_interrupt_note(&self) -> Option<String> {
        self.when_interrupted.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn selected(&self) -> Result<Selected, ConnectionError> {
        let mut selected = match kubeconfig::load(&self.flags) {
            Ok(loaded) => kubeconfig::select(&loaded, &self.flags)?,
            Err(ConnectionError::NoKubeconfig { .. }) if self.flags.server.is_some() && self.flags.kubeconfig.is_none() => {
                kubeconfig::from_flags_only(&self.flags)
            }
            Err(other) => return Err(other),
        };
        let kuberc = kuberc::path(std::env::var_os("KUBERC").as_deref(), std::env::home_dir().as_deref());
        selected.respect_kuberc(kuberc.as_deref())?;
        selected.protect_stdin(std::io::stdin().is_terminal() && !self.silent)?;
        Ok(selected)
    }

    fn connect(&self, config: kube::Config) -> Result<kube::Client, Failure> {
        // Only a second call in one process fails, and then a provider is installed, which is all we want.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let warnings = self.warnings.clone();
        let builder = kube::client::ClientBuilder::try_from(config).map_err(|error| {
            Failure::new("cannot make a client from the kubeconfig").with_cause(&error).with_hint("kubectl config view")
        })?;
        Ok(builder.with_layer(&MapResponseLayer::new(move |response| warnings.listen(response))).build())
    }
}
