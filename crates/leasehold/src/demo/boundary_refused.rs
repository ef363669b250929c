//! A wider sub-boundary is refused by the algebra alone, before any node is asked.

use boundary::{Budget, Directory, FilterSet, PacketJson, ResolvedSet, compare, in_words};
use lab::Failed;
use serde_json::json;

use super::boundaries::{CLUSTER_A, DRAFT, TENANT, TENANT_WIDE};
use super::show::Evidence;
use super::world::World;

pub(crate) fn run(_world: &mut World<'_>, evidence: &mut Evidence) -> Result<(), Failed> {
    let upper = [resolved(CLUSTER_A)?];
    let wide = excess(&upper, TENANT_WIDE)?;
    evidence.check("the tenant's first draft is not contained in the landlord's boundary", wide.is_some());
    if let Some(excess) = &wide {
        evidence.tell(format!("for example: {}", in_words(&excess.packet)));
        let word = excess.upper_rule.as_deref().unwrap_or("no rule");
        evidence
            .tell(format!("admitted by the tenant's {:?}, by {word} of the landlord's", excess.lower_rule));
        let agrees = !upper.iter().all(|set| set.decide(&excess.packet).admits());
        evidence.check("the landlord's rules, read one by one, refuse that packet", agrees);
        evidence.fact(
            "witness",
            json!({
                "packet": PacketJson::from(&excess.packet), "lower_rule": excess.lower_rule,
                "upper_tier": excess.upper_tier, "upper_rule": excess.upper_rule,
            }),
        );
    }
    let contained = excess(&upper, TENANT)?.is_none();
    evidence.check("its second draft is contained: proved for every packet there is", contained);
    evidence.fact("second_contained", contained);
    Ok(())
}

fn excess(upper: &[ResolvedSet], lower: &str) -> Result<Option<boundary::Excess>, Failed> {
    let compared = compare(upper, &resolved(lower)?, &[], &mut Budget::for_tier());
    Ok(compared.map_err(|unproved| Failed::new("compare two boundaries", unproved))?.excess)
}

fn resolved(text: &str) -> Result<ResolvedSet, Failed> {
    let directory =
        Directory::parse(DRAFT.as_bytes()).map_err(|problems| Failed::new("read a directory", problems))?;
    let read = FilterSet::parse(text.as_bytes()).and_then(|set| set.resolve(Some(&directory)));
    read.map_err(|problems| Failed::new("read a boundary", problems))
}
