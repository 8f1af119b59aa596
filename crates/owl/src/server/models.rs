//! `GET /v1/models` and `GET /v1/models/{id}`: the models of all providers.

use http::{Response, Uri};

use super::Door;
use super::error::ApiError;
use super::record::Answer;
use super::routes::json;

pub(super) async fn list(door: &Door) -> Response<Answer> {
    let table = door.gateway.complete_table().await;
    let objects: Vec<&str> = table.listed().iter().map(|model| model.object.as_str()).collect();
    json(format!(r#"{{"object":"list","data":[{}]}}"#, objects.join(",")))
}

pub(super) async fn one(door: &Door, uri: &Uri) -> Result<Response<Answer>, ApiError> {
    let encoded = uri.path().strip_prefix("/v1/models/").unwrap_or_default();
    let name = percent_encoding::percent_decode_str(encoded).decode_utf8_lossy();
    let table = door.gateway.complete_table().await;
    match table.listed().iter().find(|model| model.name == name) {
        Some(model) => Ok(json(model.object.clone())),
        None => Err(ApiError::from(&door.gateway.unknown_model(&name, &table))),
    }
}
