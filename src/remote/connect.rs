//! Clients for the services, with the credentials and settings that the services' own tools use.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::{ClientOptions, Error as Failure, ObjectStore, RetryConfig};
use tokio::runtime::Runtime;

use super::credentials::Profile;
use super::location::Service;
use super::{Location, redact};
use crate::error::{Error, Result};

/// Time after which a failed request is not retried any more.
const RETRY: Duration = Duration::from_secs(60);

/// The client for the bucket of a location; each bucket has one. No request is sent yet.
pub(super) fn connect(location: &Location, runtime: &Runtime) -> Result<Arc<dyn ObjectStore>> {
    static BUCKETS: LazyLock<Mutex<HashMap<String, Arc<dyn ObjectStore>>>> =
        LazyLock::new(Mutex::default);
    let mut buckets = BUCKETS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(store) = buckets.get(&location.bucket) {
        return Ok(store.clone());
    }
    let store = client(location, runtime)?;
    buckets.insert(location.bucket.clone(), store.clone());
    Ok(store)
}

fn client(location: &Location, runtime: &Runtime) -> Result<Arc<dyn ObjectStore>> {
    let retry = RetryConfig { retry_timeout: RETRY, ..RetryConfig::default() };
    let client = ClientOptions::new()
        .with_connect_timeout(Duration::from_secs(10))
        .with_timeout(Duration::from_secs(120));
    let bucket = location.bucket.clone();
    let store: Result<Arc<dyn ObjectStore>, Failure> = match location.service {
        Service::S3 => {
            let profile = runtime.block_on(Profile::load());
            let builder = AmazonS3Builder::from_env().with_url(bucket).with_retry(retry);
            amazon(builder, profile, client)?.build().map(|store| Arc::new(store) as _)
        }
        Service::Google => GoogleCloudStorageBuilder::from_env()
            .with_url(bucket)
            .with_client_options(client)
            .with_retry(retry)
            .build()
            .map(|store| Arc::new(store) as _),
        Service::Azure => MicrosoftAzureBuilder::from_env()
            .with_url(bucket)
            .with_client_options(client)
            .with_retry(retry)
            .build()
            .map(|store| Arc::new(store) as _),
        #[cfg(test)]
        Service::Memory => Ok(Arc::new(object_store::memory::InMemory::new())),
    };
    store.map_err(|e| {
        let hint = match location.service {
            Service::Azure => {
                " (set AZURE_STORAGE_ACCOUNT_NAME to the account, or pass \
                 abfss://CONTAINER@ACCOUNT.dfs.core.windows.net/PATH)"
            }
            _ => "",
        };
        Error::Usage(format!("{location}: {}{hint}", redact(&e.to_string())))
    })
}

/// Configures the builder with the credential chain and the endpoint that Amazon's own tools use.
fn amazon(
    builder: AmazonS3Builder,
    profile: Profile,
    client: ClientOptions,
) -> Result<AmazonS3Builder> {
    let endpoint = [AmazonS3ConfigKey::S3Endpoint, AmazonS3ConfigKey::Endpoint]
        .iter()
        .find_map(|key| builder.get_config_value(key).filter(|value| !value.is_empty()))
        .or(profile.endpoint);
    // A user who specifies an endpoint without encryption means it.
    let plain = endpoint.as_deref().is_some_and(|url| url.starts_with("http://"));
    let mut builder = builder.with_client_options(client.with_allow_http(plain));
    if let Some(endpoint) = endpoint {
        let host = ["http://", "https://"].iter().find_map(|scheme| endpoint.strip_prefix(scheme));
        if host.is_none_or(|host| host.is_empty() || host.contains(char::is_whitespace)) {
            let message =
                "AWS_ENDPOINT_URL (or endpoint_url in a profile) is no URL: https://HOST[:PORT]";
            return Err(Error::Usage(format!("{message}, not {}", redact(&endpoint))));
        }
        builder = builder.with_endpoint(endpoint);
    }
    if let Some(region) = profile.region {
        builder = builder.with_region(region);
    }
    if let Some(chain) = profile.chain {
        builder = builder.with_credentials(chain);
    }
    Ok(builder)
}
