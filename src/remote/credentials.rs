//! Amazon's own credential chain: environment, profiles (keys, assumed roles, single sign-on,
//! processes), web identity, containers, machines.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use object_store::aws::AwsCredential;
use object_store::{CredentialProvider, Error, Result};
use tokio::sync::{Mutex, OnceCell};

/// How long before their expiry credentials are renewed.
const EARLY: Duration = Duration::from_secs(5 * 60);

/// The credential chain, with its credentials cached until shortly before they expire.
#[derive(Debug)]
pub(super) struct Chain {
    provider: SharedCredentialsProvider,
    kept: Mutex<Option<(Arc<AwsCredential>, Option<SystemTime>)>>,
}

/// The settings from Amazon's configuration.
#[derive(Clone)]
pub(super) struct Profile {
    pub chain: Option<Arc<Chain>>,
    pub region: Option<String>,
    pub endpoint: Option<String>,
}

impl Profile {
    /// Reads the environment and the profiles, once per process.
    ///
    /// If neither specifies a region, the machine is asked for it. Credentials are requested only
    /// when they are needed.
    pub(super) async fn load() -> Self {
        static PROFILE: OnceCell<Profile> = OnceCell::const_new();
        PROFILE.get_or_init(Self::look).await.clone()
    }

    async fn look() -> Self {
        let config = aws_config::load_defaults(aws_config::BehaviorVersion::latest()).await;
        Self {
            chain: config
                .credentials_provider()
                .map(|provider| Arc::new(Chain { provider, kept: Mutex::const_new(None) })),
            region: config.region().map(ToString::to_string),
            endpoint: config.endpoint_url().map(ToOwned::to_owned),
        }
    }
}

#[async_trait]
impl CredentialProvider for Chain {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> Result<Arc<AwsCredential>> {
        let mut kept = self.kept.lock().await;
        let fresh =
            |until: &Option<SystemTime>| until.is_none_or(|t| t > SystemTime::now() + EARLY);
        if let Some((credential, until)) = kept.as_ref()
            && fresh(until)
        {
            return Ok(credential.clone());
        }
        let found = self.provider.provide_credentials().await;
        let found = found.map_err(|error| Error::Unauthenticated {
            path: "no credentials (environment, profile, role)".into(),
            source: Box::new(error),
        })?;
        let credential = Arc::new(AwsCredential {
            key_id: found.access_key_id().to_owned(),
            secret_key: found.secret_access_key().to_owned(),
            token: found.session_token().map(ToOwned::to_owned),
        });
        *kept = Some((credential.clone(), found.expiry()));
        Ok(credential)
    }
}
