//! Private keys and certificates. Keys are made inside the cryptographic library with its own randomness.

use std::rc::Rc;
use std::time::Duration;

use aws_lc_rs::encoding::{AsDer as _, EcPrivateKeyRfc5915Der, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeySize, PrivateDecryptingKey};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair};
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, DnValue, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType, SerialNumber,
};
use x509_parser::prelude::{FromDer as _, X509Certificate};
use zeroize::{Zeroize as _, Zeroizing};

use super::{Arguments, Function, Type, fixed};
use crate::resource::{base64, pem, pkcs8};
use crate::template::Text;
use crate::template::budget::Context;
use crate::template::error::Fault;
use crate::template::value::{Certificate as Pair, List, Value};

use Type::{Certificate, Int, List as Items, Text as Str};

type Answer = Result<Value, Fault>;

/// Units of the budget: a key of 2048 bits takes about a tenth of a second, one of 4096 bits a second and more.
const KEY_2048: u64 = 4 << 20;
const KEY_4096: u64 = 16 << 20;
const SIGNATURE: u64 = 1 << 18;

pub(super) const FUNCTIONS: &[Function] = &[
    fixed("genPrivateKey", &[Str], generate_private_key).costing(KEY_4096),
    fixed("buildCustomCert", &[Str, Str], build_custom),
    fixed("genCA", &[Str, Int], |context, a| authority(context, a, &new_key()?)).costing(KEY_2048),
    fixed("genCAWithKey", &[Str, Int, Str], |context, a| authority(context, a, &given_key(a, 2)?)).costing(SIGNATURE),
    fixed("genSelfSignedCert", &[Str, Items, Items, Int], |context, a| self_signed(context, a, &new_key()?)).costing(KEY_2048),
    fixed("genSelfSignedCertWithKey", &[Str, Items, Items, Int, Str], |context, a| self_signed(context, a, &given_key(a, 4)?))
        .costing(SIGNATURE),
    fixed("genSignedCert", &[Str, Items, Items, Int, Certificate], |context, a| signed(context, a, &new_key()?))
        .costing(KEY_2048),
    fixed("genSignedCertWithKey", &[Str, Items, Items, Int, Certificate, Str], |context, a| {
        signed(context, a, &given_key(a, 5)?)
    })
    .costing(SIGNATURE),
];

/// A private key that signs, and its PEM as it is handed out.
struct Key {
    pair: KeyPair,
    pem: Zeroizing<String>,
}

impl Drop for Key {
    fn drop(&mut self) {
        self.pair.zeroize();
    }
}

fn refused(what: &'static str) -> impl Fn() -> Fault {
    move || Fault::new(what)
}

fn generate_rsa(size: KeySize) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let failed = refused("error generating rsa key");
    let key = PrivateDecryptingKey::generate(size).map_err(|_| failed())?;
    let der: Pkcs8V1Der<'_> = key.as_der().map_err(|_| failed())?;
    Ok(Zeroizing::new(der.as_ref().to_vec()))
}

fn pkcs1_pem(key: &[u8]) -> Result<Zeroizing<String>, Fault> {
    let failed = refused("error pem-encoding key");
    let der = pkcs8::to_pkcs1(key).map_err(|_| failed())?;
    Ok(pem::encode("RSA PRIVATE KEY", &der))
}

fn new_key() -> Result<Key, Fault> {
    let pkcs8 = generate_rsa(KeySize::Rsa2048)?;
    let pair = KeyPair::try_from(pkcs8.as_slice()).map_err(|_| Fault::new("error generating rsa key"))?;
    Ok(Key { pair, pem: pkcs1_pem(&pkcs8)? })
}

fn given_key(arguments: &Arguments<'_>, at: usize) -> Result<Key, Fault> {
    read_key(&arguments.str(at)).map_err(|fault| fault.after("parsing private key: "))
}

fn first_block(text: &str) -> Option<pem::Block> {
    pem::blocks(text).into_iter().next()
}

/// Reads a private key: PKCS#8, PKCS#1 or SEC1, as its label says.
fn read_key(text: &str) -> Result<Key, Fault> {
    let Some(block) = first_block(text) else { return Err(Fault::new("no PEM data in input")) };
    let parsed = match block.label.as_str() {
        "PRIVATE KEY" => KeyPair::try_from(block.content.as_slice()).map_err(|_| Fault::new("decoding PEM as PKCS#8")),
        "RSA PRIVATE KEY" => KeyPair::from_pem(text).map_err(|_| Fault::new("parsing RSA private key from PEM")),
        "EC PRIVATE KEY" => KeyPair::from_pem(text).map_err(|_| Fault::new("parsing EC private key from PEM")),
        label if label.ends_with(" PRIVATE KEY") => {
            Err(Fault::with_value(format!("invalid private key type {label}"), "invalid private key type"))
        }
        label => {
            let full = format!("no private key data in PEM block of type {label}");
            Err(Fault::with_value(full, "no private key data in PEM block"))
        }
    };
    Ok(Key { pair: parsed?, pem: pem::encode(&block.label, &block.content) })
}

fn generate_private_key(_: &mut Context<'_>, arguments: &Arguments<'_>) -> Answer {
    let failed = refused("failed to generate private key");
    let pem = match arguments.bytes(0) {
        b"" | b"rsa" => pkcs1_pem(&generate_rsa(KeySize::Rsa4096)?)?,
        b"ecdsa" => {
            let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).map_err(|_| failed())?;
            let der: EcPrivateKeyRfc5915Der<'_> = key.private_key().as_der().map_err(|_| failed())?;
            pem::encode("EC PRIVATE KEY", der.as_ref())
        }
        b"ed25519" => {
            let key = Ed25519KeyPair::generate().map_err(|_| failed())?;
            let der: Pkcs8V1Der<'_> = key.as_der().map_err(|_| failed())?;
            pem::encode("PRIVATE KEY", der.as_ref())
        }
        b"dsa" => return Err(Fault::new("DSA keys are not supported")),
        _ => return Ok(Value::text(format!("Unknown type {}", arguments.str(0)))),
    };
    Ok(Value::text(pem.as_str()))
}

/// Checks a certificate and a key that are given as base64 of PEM, and hands them out.
fn build_custom(_: &mut Context<'_>, arguments: &Arguments<'_>) -> Answer {
    let cert = base64::decode_bytes(arguments.bytes(0)).map_err(|_| Fault::new("unable to decode base64 certificate"))?;
    let key = base64::decode_bytes(arguments.bytes(1)).map_err(|_| Fault::new("unable to decode base64 private key"))?;
    let (cert, key) = (Text::new(cert), Text::new(key));
    let Some(block) = first_block(&cert.to_str()) else { return Err(Fault::new("unable to decode certificate")) };
    X509Certificate::from_der(&block.content).map_err(|_| Fault::new("error parsing certificate: decodedCert.Bytes"))?;
    read_key(&key.to_str()).map_err(|fault| fault.after("error parsing private key: "))?;
    Ok(pair(cert, key))
}

fn pair(cert: Text, key: Text) -> Value {
    Value::Certificate(Rc::new(Pair { cert, key }))
}

fn handed_out(certificate: &rcgen::Certificate, key: &Key) -> Value {
    pair(Text::from(pem::encode("CERTIFICATE", certificate.der()).as_str()), Text::from(key.pem.as_str()))
}

fn authority(context: &mut Context<'_>, arguments: &Arguments<'_>, key: &Key) -> Answer {
    let nothing = List::nil(crate::template::value::Element::Any);
    let mut parameters = parameters(context, &arguments.str(0), &nothing, &nothing, arguments.int(1))?;
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.key_usages.push(KeyUsagePurpose::KeyCertSign);
    finish_self_signed(&parameters, key)
}

fn self_signed(context: &mut Context<'_>, arguments: &Arguments<'_>, key: &Key) -> Answer {
    finish_self_signed(&leaf(context, arguments)?, key)
}

fn finish_self_signed(parameters: &CertificateParams, key: &Key) -> Answer {
    let certificate = parameters.self_signed(&key.pair).map_err(|_| Fault::new("error creating certificate"))?;
    Ok(handed_out(&certificate, key))
}

fn leaf(context: &mut Context<'_>, arguments: &Arguments<'_>) -> Result<CertificateParams, Fault> {
    parameters(context, &arguments.str(0), &arguments.list(1), &arguments.list(2), arguments.int(3))
}

fn signed(context: &mut Context<'_>, arguments: &Arguments<'_>, key: &Key) -> Answer {
    let authority = arguments.certificate(4);
    let Some(block) = first_block(&authority.cert.to_str()) else { return Err(Fault::new("unable to decode certificate")) };
    let (_, signer) = X509Certificate::from_der(&block.content)
        .map_err(|_| Fault::new("error parsing certificate: decodedSignerCert.Bytes"))?;
    let signer_key = read_key(&authority.key.to_str()).map_err(|fault| fault.after("error parsing private key: "))?;
    let mut parameters = leaf(context, arguments)?;
    parameters.use_authority_key_identifier_extension = true;
    let mut signer_parameters = CertificateParams::default();
    signer_parameters.distinguished_name = name_of(&signer)?;
    let issuer = Issuer::from_params(&signer_parameters, &signer_key.pair);
    let certificate = parameters.signed_by(&key.pair, &issuer).map_err(|_| Fault::new("error creating certificate"))?;
    Ok(handed_out(&certificate, key))
}

/// The name of the signer, part by part.
fn name_of(certificate: &X509Certificate<'_>) -> Result<DistinguishedName, Fault> {
    let unreadable = refused("the name in the certificate of the authority cannot be read");
    let mut name = DistinguishedName::new();
    for attribute in certificate.subject().iter_attributes() {
        let kind: Vec<u64> = attribute.attr_type().iter().ok_or_else(&unreadable)?.collect();
        let text = attribute.as_str().map_err(|_| unreadable())?;
        let known = match kind.as_slice() {
            [2, 5, 4, 3] => DnType::CommonName,
            [2, 5, 4, 6] => DnType::CountryName,
            [2, 5, 4, 7] => DnType::LocalityName,
            [2, 5, 4, 8] => DnType::StateOrProvinceName,
            [2, 5, 4, 10] => DnType::OrganizationName,
            [2, 5, 4, 11] => DnType::OrganizationalUnitName,
            _ => DnType::CustomDnType(kind),
        };
        name.push(known, dn_value(text));
    }
    Ok(name)
}

/// Go writes plain text as a PrintableString where it can.
fn dn_value(text: &str) -> DnValue {
    match rcgen::string::PrintableString::try_from(text) {
        Ok(printable) => DnValue::PrintableString(printable),
        Err(_) => DnValue::Utf8String(text.to_owned()),
    }
}

/// What every certificate has: a random serial number, both usages, validity from now.
fn parameters(
    context: &mut Context<'_>,
    name: &str,
    addresses: &List,
    names: &List,
    days: i64,
) -> Result<CertificateParams, Fault> {
    let mut serial = [0; 16];
    context.world.fill(&mut serial);
    let now = context.world.now().as_second();
    let at = |seconds: i64| rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
    let mut parameters = CertificateParams::default();
    parameters.serial_number = Some(SerialNumber::from_slice(&serial));
    parameters.not_before = at(now);
    parameters.not_after = at(now.saturating_add(days.clamp(-36_500, 365_000) * 24 * 3600));
    parameters.distinguished_name = DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, dn_value(name));
    parameters.subject_alt_names = alternative_names(addresses, names)?;
    parameters.is_ca = IsCa::ExplicitNoCa;
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    Ok(parameters)
}

fn alternative_names(addresses: &List, names: &List) -> Result<Vec<SanType>, Fault> {
    let mut found = Vec::new();
    for name in names.items() {
        let text = text_of(name, "error processing alternate dns name: ")?;
        let name = Ia5String::try_from(text.as_str()).map_err(|_| Fault::new("error processing alternate dns name"))?;
        found.push(SanType::DnsName(name));
    }
    for address in addresses.items() {
        let text = text_of(address, "error parsing ip: ")?;
        let address = text.parse().map_err(|_| Fault::with_value(format!("error parsing ip: {text}"), "error parsing ip"))?;
        found.push(SanType::IpAddress(address));
    }
    Ok(found)
}

fn text_of(value: &Value, before: &str) -> Result<String, Fault> {
    match value {
        Value::Text(text) => Ok(text.to_str().into_owned()),
        other => {
            let full = format!("{before}{} is not a string", crate::template::format::printed(other)?.to_str());
            Err(Fault::with_value(full, format!("{before}a {} is not a string", other.type_name())))
        }
    }
}
