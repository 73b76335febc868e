//! Finding audit events by what stands beside their bytes: filters, pages by key, and the ledger's order.
//!
//! A page is fast on a million events when the engine walks the index of the filter that fits the fewest of them.
//! SQLite keeps no statistics until somebody asks it to, so the fewest are found by counting each filter's matches, no
//! further than [`PROBE`]; the others are then checked row by row. An index has the time behind its column, so that
//! each walk is in the order of the list.
//!
//! Most indexes hold an event only once it is findable, with its place in the ledger. What is not, at most what was
//! recorded in the last second or so, is looked through event by event, and merged.

use model::{Action, Outcome, RequestId, Result, Timestamp, WorkspaceId};

use crate::audit::{Cursor, Stored};
use crate::engine::{Dialect, Query};
use crate::params;
use crate::reader::Reader;

/// A filter is rare enough when it fits fewer events than this: further it is not counted.
const PROBE: i64 = 2_000;

/// Which events. Empty: all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// By this actor, as written: `user:ann`.
    pub actor: Option<String>,
    /// By this credential: its kind and id, `app_password:{uuid}`.
    pub credential: Option<String>,
    /// Of one of these actions; empty for all.
    pub actions: Vec<Action>,
    /// On this resource: as written (`repository:acme/one`), or by its kind and id.
    pub resource: Option<String>,
    /// In this workspace.
    pub workspace: Option<WorkspaceId>,
    /// From an address between these two, as [`bits`](crate::audit::bits) writes them.
    pub addresses: Option<([u8; 16], [u8; 16])>,
    /// Which ended so.
    pub outcome: Option<Outcome>,
    /// Of this request.
    pub request: Option<RequestId>,
    /// At this time or later.
    pub from: Option<Timestamp>,
    /// Before this time.
    pub until: Option<Timestamp>,
}

/// The order of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// For people.
    NewestFirst,
    /// For exports.
    OldestFirst,
}

/// A filter that has an index, the rarest kind first: of two that fit equally many, the first is walked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    Request,
    Credential,
    Resource,
    Address,
    Actor,
    Refused,
    Action,
    Workspace,
}

impl Column {
    const ALL: [Self; 8] = [
        Self::Request,
        Self::Credential,
        Self::Resource,
        Self::Address,
        Self::Actor,
        Self::Refused,
        Self::Action,
        Self::Workspace,
    ];
}

impl Filter {
    fn has(&self, column: Column) -> bool {
        match column {
            Column::Request => self.request.is_some(),
            Column::Credential => self.credential.is_some(),
            Column::Resource => self.resource.is_some(),
            Column::Address => self.addresses.is_some(),
            Column::Actor => self.actor.is_some(),
            Column::Refused => self.outcome == Some(Outcome::Refused),
            // Several actions are walked apart from each other.
            Column::Action => self.actions.len() == 1,
            Column::Workspace => self.workspace.is_some(),
        }
    }

    /// Whether the index of a column holds findable events alone.
    fn is_of_findable(&self, column: Column) -> bool {
        match column {
            Column::Request => false,
            Column::Refused => self.workspace.is_some(),
            _ => true,
        }
    }

    /// The condition on one column; `aside` stands before a column whose index is not to be walked.
    fn condition(&self, query: &mut Query, column: Column, aside: &'static str) {
        query.sql(" AND ").sql(aside);
        match column {
            Column::Request => query.sql("request_id = ").bind(self.request),
            Column::Credential => query.sql("credential = ").bind(self.credential.as_deref()),
            Column::Resource => {
                let by_id =
                    self.resource.as_deref().is_some_and(|text| text.contains('{') || text == "instance");
                query.sql(if by_id { "resource_id = " } else { "resource = " }).bind(self.resource.as_deref())
            }
            Column::Address => {
                let (first, last) = self.addresses.unwrap_or_default();
                query.sql("address_bits >= ").bind(first.to_vec()).sql(" AND ").sql(aside);
                query.sql("address_bits <= ").bind(last.to_vec())
            }
            Column::Actor => query.sql("actor = ").bind(self.actor.as_deref()),
            // In words, so that the engine sees that the index of refusals is enough.
            Column::Refused => query.sql("outcome = 'refused'"),
            Column::Action => query.sql("action = ").bind(self.actions.first().map(|action| action.as_str())),
            Column::Workspace => query.sql("workspace_id = ").bind(self.workspace.map(|id| id.to_string())),
        };
    }

    /// Every condition, for a walk along one column's index, or along that of time.
    fn conditions(&self, query: &mut Query, walked: Option<Column>, dialect: Dialect) {
        // PostgreSQL keeps statistics and needs no hint.
        let aside = if dialect == Dialect::Sqlite { "+" } else { "" };
        if walked.is_some_and(|column| self.is_of_findable(column)) {
            query.sql(" AND findable = 1");
        }
        for column in Column::ALL.into_iter().filter(|column| self.has(*column)) {
            // The index of refusals begins with the workspace, where one is named.
            let walked =
                walked == Some(column) || (walked == Some(Column::Refused) && column == Column::Workspace);
            self.condition(query, column, if walked { "" } else { aside });
        }
        if self.outcome == Some(Outcome::Done) {
            query.sql(" AND outcome = 'done'");
        }
        if self.actions.len() > 1 {
            query.sql(" AND ").sql(aside).sql("action IN ");
            query.bind_list(self.actions.iter().map(|action| action.as_str()));
        }
        if let Some(from) = self.from {
            query.sql(" AND time >= ").bind(from);
        }
        if let Some(until) = self.until {
            query.sql(" AND time < ").bind(until);
        }
    }

    /// The column whose filter fits the fewest events, and whether these are few.
    fn rarest(&self, reader: &mut Reader<'_>, probe: i64) -> Result<(Option<Column>, bool)> {
        let named: Vec<Column> = Column::ALL.into_iter().filter(|column| self.has(*column)).collect();
        if named.len() + usize::from(self.actions.len() > 1) < 2 {
            return Ok((named.first().copied(), true));
        }
        let mut rarest = None;
        for column in named {
            let alone = Self {
                from: self.from,
                until: self.until,
                workspace: self.workspace.filter(|_| column == Column::Refused),
                ..Self::default()
            };
            let mut query = Query::new("SELECT count(*) AS found FROM (SELECT 1 FROM audit_event WHERE TRUE");
            alone.conditions(&mut query, Some(column), reader.dialect());
            self.condition(&mut query, column, "");
            query.sql(" LIMIT ").bind(probe).sql(") AS probe");
            let found: i64 = reader.query_one(&query)?.map_or(Ok(0), |row| row.get("found"))?;
            if rarest.is_none_or(|(_, least)| found < least) {
                rarest = Some((column, found));
            }
        }
        Ok(match rarest {
            Some((column, found)) => (Some(column), found < probe),
            None => (None, false),
        })
    }
}

fn ordered(query: &mut Query, order: Order, after: Option<Cursor>, limit: i64) {
    if let Some((time, id)) = after {
        query.sql(if order == Order::NewestFirst { " AND (time, id) < (" } else { " AND (time, id) > (" });
        query.bind(time).sql(", ").bind(id).sql(")");
    }
    sorted(query, order, limit);
}

fn sorted(query: &mut Query, order: Order, limit: i64) {
    query.sql(match order {
        Order::NewestFirst => " ORDER BY time DESC, id DESC LIMIT ",
        Order::OldestFirst => " ORDER BY time, id LIMIT ",
    });
    query.bind(limit);
}

/// Events in the order of their times, at most `limit` of them, from after `after`.
pub fn list(
    reader: &mut Reader<'_>,
    filter: &Filter,
    order: Order,
    after: Option<Cursor>,
    limit: i64,
) -> Result<Vec<Stored>> {
    list_probing(reader, filter, order, after, limit, PROBE)
}

/// The same, counting each filter's matches up to `probe`: whatever it is, the list is the same.
pub fn list_probing(
    reader: &mut Reader<'_>,
    filter: &Filter,
    order: Order,
    after: Option<Cursor>,
    limit: i64,
    probe: i64,
) -> Result<Vec<Stored>> {
    let (walked, few) = filter.rarest(reader, probe)?;
    let mut parts = match (walked, filter.actions.as_slice()) {
        // Each action's events in their order, merged: what fits is not gathered whole to be sorted.
        (walked, several @ [_, _, ..]) if walked.is_none() || !few => several
            .iter()
            .map(|action| Filter { actions: vec![*action], ..filter.clone() })
            .map(|filter| Part { filter, walked: Some(Column::Action), of: Rows::All })
            .collect(),
        (walked, _) => vec![Part { filter: filter.clone(), walked, of: Rows::All }],
    };
    if parts.iter().any(|part| part.walked.is_some_and(|column| part.filter.is_of_findable(column))) {
        parts.push(Part { filter: filter.clone(), walked: None, of: Rows::NotFindable });
    }
    let page = Page { order, after, limit, dialect: reader.dialect() };
    let query = match parts.as_slice() {
        [only] => {
            let mut query = Query::new("");
            only.write(&mut query, page);
            query
        }
        several => {
            let mut query = Query::new("SELECT * FROM (");
            for (at, part) in several.iter().enumerate() {
                query.sql(if at == 0 { "SELECT * FROM (" } else { " UNION ALL SELECT * FROM (" });
                part.write(&mut query, page);
                query.sql(") AS one");
            }
            query.sql(") AS merged");
            sorted(&mut query, order, limit);
            query
        }
    };
    reader.query(&query)?.iter().map(Stored::from_row).collect()
}

/// Where a page lies.
#[derive(Clone, Copy)]
struct Page {
    order: Order,
    after: Option<Cursor>,
    limit: i64,
    dialect: Dialect,
}

/// One of the queries whose answers are merged: the page, as far as it comes from some of the events.
struct Part {
    filter: Filter,
    walked: Option<Column>,
    of: Rows,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Rows {
    /// All, or those that the walked index holds.
    All,
    /// Those that no index but that of time holds yet. They are few, so the walk begins with them.
    NotFindable,
}

impl Part {
    fn write(&self, query: &mut Query, page: Page) {
        // Those from a network are not in the order of time: the index alone is sorted, not the events.
        let by_network = self.walked == Some(Column::Address);
        query.sql(match self.of {
            Rows::All if by_network => {
                "SELECT * FROM audit_event WHERE id IN (SELECT id FROM audit_event WHERE TRUE"
            }
            Rows::All => "SELECT * FROM audit_event WHERE TRUE",
            // Joined in this order on SQLite too, which is what CROSS means to it.
            Rows::NotFindable => {
                "SELECT * FROM (SELECT a.* FROM ledger_pending p CROSS JOIN audit_event a
                 WHERE a.id = p.event_id AND a.findable = 0) AS waiting WHERE TRUE"
            }
        });
        self.filter.conditions(query, self.walked, page.dialect);
        ordered(query, page.order, page.after, page.limit);
        if by_network {
            query.sql(")");
            sorted(query, page.order, page.limit);
        }
    }
}

/// Events in the ledger's order: the first places from `from` on whose events fit, and behind which place the search
/// ended. Looks at no more than `window` places.
pub fn placed(
    reader: &mut Reader<'_>,
    filter: &Filter,
    from: u64,
    window: u64,
) -> Result<(Vec<(u64, Stored)>, u64)> {
    let from = i64::try_from(from).unwrap_or(i64::MAX);
    let end = from.saturating_add(i64::try_from(window).unwrap_or(i64::MAX));
    let last = reader.one(
        "SELECT idx FROM ledger_entry WHERE idx >= $1 AND idx < $2 ORDER BY idx DESC LIMIT 1",
        params![from, end],
    )?;
    let Some(last) = last else { return Ok((Vec::new(), u64::try_from(from).unwrap_or(0))) };
    let next: u64 = last.get::<u64>("idx")?.saturating_add(1);
    let mut query = Query::new(
        "SELECT l.idx, a.* FROM ledger_entry l JOIN audit_event a ON a.id = l.event_id WHERE l.idx >= ",
    );
    query.bind(from).sql(" AND l.idx < ").bind(i64::try_from(next).unwrap_or(i64::MAX));
    // Every index is put aside: the walk is along the ledger. Time is looked at here, since it has no such hint.
    let timeless = Filter { from: None, until: None, ..filter.clone() };
    timeless.conditions(&mut query, None, reader.dialect());
    query.sql(" ORDER BY l.idx");
    let mut found = Vec::new();
    for row in reader.query(&query)? {
        let stored = Stored::from_row(&row)?;
        let (from, until) = (filter.from.is_none_or(|from| from <= stored.time), filter.until);
        if from && until.is_none_or(|until| stored.time < until) {
            found.push((row.get("idx")?, stored));
        }
    }
    Ok((found, next))
}
