//! Incidents and ladders over the API.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, Path, State};
use console_api::{
    Acknowledge, Incident, IncidentQuery, IncidentState, LadderSet, NewLadders, Page, PageQuery,
};
use incident::{Event, Ladders, Number, Phase, Subject};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::kept::INCIDENTS;
use crate::api::{Answer, Body, No, Parameters, not_found, page_of, refused, usage};
use crate::people::Asker;
use crate::state::Console;

/// The most minutes for which a person has an incident.
const MINUTES_MAX: u16 = 1440;

const MESSAGE_CHARS_MAX: usize = 500;

pub(crate) fn routes() -> OpenApiRouter<Arc<Console>> {
    OpenApiRouter::new()
        .routes(routes!(incident_list))
        .routes(routes!(incident_show))
        .routes(routes!(incident_ack))
        .routes(routes!(ladder_show, ladder_apply))
}

/// Incidents, the newest first
#[utoipa::path(
    get, path = "/v1/incidents", operation_id = "incident_list", tag = "incident", params(IncidentQuery),
    responses((status = 200, body = Page<Incident>)),
)]
async fn incident_list(
    State(console): State<Arc<Console>>,
    Parameters(query): Parameters<IncidentQuery>,
) -> Answer<Page<Incident>> {
    let query_of = PageQuery { after: query.after, limit: query.limit };
    let page: Page<incident::Incident> = page_of(console.store(), INCIDENTS, &query_of)?;
    let wanted = page.items.into_iter().filter(|incident| query.all || !incident.is_resolved());
    Ok(Json(Page {
        items: wanted.map(|incident| console.shown_incident(incident)).collect(),
        next: page.next,
    }))
}

/// One incident, with what happened
#[utoipa::path(
    get, path = "/v1/incidents/{incident}", operation_id = "incident_show", tag = "incident",
    params(("incident" = String, Path, description = "INC-318, or 318")),
    responses((status = 200, body = Incident)),
)]
async fn incident_show(State(console): State<Arc<Console>>, Path(text): Path<String>) -> Answer<Incident> {
    let incident = console.incident(number(&text)?)?.ok_or_else(|| unknown(&text))?;
    Ok(Json(console.shown_incident(incident)))
}

/// Take an incident over, for a while
#[utoipa::path(
    post, path = "/v1/incidents/{incident}/ack", operation_id = "incident_ack", tag = "incident",
    params(("incident" = String, Path, description = "INC-318, or 318")),
    request_body = Acknowledge, responses((status = 200, body = Incident)),
)]
async fn incident_ack(
    State(console): State<Arc<Console>>,
    Extension(asker): Extension<Asker>,
    Path(text): Path<String>,
    Body(wanted): Body<Acknowledge>,
) -> Answer<Incident> {
    let number = number(&text)?;
    if !(1..=MINUTES_MAX).contains(&wanted.minutes) {
        return Err(usage(format!("an incident is taken over for 1 to {MINUTES_MAX} minutes")));
    }
    let long = wanted.message.as_ref().is_some_and(|message| message.chars().count() > MESSAGE_CHARS_MAX);
    if long {
        return Err(usage(format!("a message has at most {MESSAGE_CHARS_MAX} characters")));
    }
    let before = console.incident(number)?.ok_or_else(|| unknown(&text))?;
    let over = || refused("resolved", format!("{number} is over"));
    if before.is_resolved() {
        return Err(over());
    }
    let message =
        wanted.message.map(|text| text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect());
    let for_ms = 60_000 * u64::from(wanted.minutes);
    let event = Event::Acknowledge { number, by: asker.name, message, for_ms };
    let incident = console.incidents.ask(event, number).await?.ok_or_else(over)?;
    Ok(Json(console.shown_incident(incident)))
}

/// What is tried for which incidents
#[utoipa::path(
    get, path = "/v1/ladders", operation_id = "ladder_show", tag = "ladder",
    responses((status = 200, body = LadderSet)),
)]
async fn ladder_show(State(console): State<Arc<Console>>) -> Answer<LadderSet> {
    let kept = console.ladders()?;
    let built_in = kept.is_none();
    let ladders = match &kept {
        Some(text) => Ladders::parse(text).map_err(|malformed| usage(malformed.to_string()))?,
        None => Ladders::default(),
    };
    Ok(Json(LadderSet { text: kept.unwrap_or_else(|| ladders.to_toml()), built_in, ladders }))
}

/// Say what is tried for which incidents
#[utoipa::path(
    post, path = "/v1/ladders", operation_id = "ladder_apply", tag = "ladder", request_body = NewLadders,
    responses((status = 200, body = LadderSet)),
)]
async fn ladder_apply(
    State(console): State<Arc<Console>>,
    Body(wanted): Body<NewLadders>,
) -> Answer<LadderSet> {
    let ladders = console.keep_ladders(wanted.text.as_deref()).await?;
    console.incidents.set_ladders(ladders);
    ladder_show(State(console)).await
}

fn number(text: &str) -> Result<Number, No> {
    text.parse().map_err(|malformed: incident::MalformedNumber| usage(malformed.to_string()))
}

fn unknown(text: &str) -> No {
    let short: String = text.chars().take(40).collect();
    not_found(format!("there is no incident {short:?}")).hint("`leasehold incident list --all` shows all")
}

impl Console {
    /// Who has the trouble, in the words that people use.
    pub(crate) fn about(&self, subject: &Subject) -> String {
        match subject {
            Subject::Node(node) => format!("node {}", self.node_name(*node)),
            Subject::Engine { node, engine } => format!("engine {engine} on {}", self.node_name(*node)),
            Subject::Receiver(name) => format!("receiver {name}"),
            Subject::Console => "console".to_owned(),
        }
    }

    fn shown_incident(&self, incident: incident::Incident) -> Incident {
        let state = match incident.phase {
            Phase::Resolved { .. } => IncidentState::Resolved,
            Phase::Settling { .. } => IncidentState::Settling,
            _ if incident.acknowledged.is_some() => IncidentState::Acknowledged,
            Phase::Waiting => IncidentState::NeedsPerson,
            Phase::Ready(_) | Phase::Running { .. } | Phase::Watching { .. } => IncidentState::Acting,
        };
        Incident {
            number: incident.number.to_string(),
            severity: incident.severity(),
            state,
            about: self.about(&incident.subject),
            node: incident.subject.node(),
            cause: incident.cause,
            detail: incident.cause_seen().map(|seen| seen.symptom.detail.clone()).unwrap_or_default(),
            cluster: incident.cluster,
            opened: incident.opened,
            ladder: incident.ladder,
            phase: incident.phase,
            acknowledged: incident.acknowledged,
            symptoms: incident.symptoms,
            unlisted: incident.unlisted,
            timeline: incident.timeline,
            left_out: incident.left_out,
        }
    }
}
