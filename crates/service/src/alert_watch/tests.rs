use model::{AlertFilter, Clock, StaffRole, Timestamp};

use super::*;
use crate::housekeeping::tests::{DAY, service};
use crate::{NewUser, UserChange, Window};

struct House {
    service: Service,
    clock: Clock,
    operator: Caller,
    _folder: tempfile::TempDir,
}

impl House {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::manual(Timestamp::from_micros(1_790_000_000_000_000));
        let service = service(folder.path(), &clock).await;
        let operator = Caller::operator(RequestId::new(&service.random));
        let house = Self { service, clock, operator, _folder: folder };
        // There is always an administrator; the day on which this one was made is over.
        house.user("root").await;
        let change = UserChange { staff_role: Some(StaffRole::Administrator), ..UserChange::default() };
        house.service.update_user(&house.operator, "root", change).await.unwrap();
        for alert in house.all().await {
            let _ = house.service.acknowledge_alert(&house.operator, None, alert.id).await.unwrap();
        }
        house.clock.advance(DAY);
        house
    }

    async fn user(&self, name: &str) {
        let new = NewUser {
            username: name.parse().unwrap(),
            email: format!("{name}@example.com").parse().unwrap(),
            display_name: None,
            password: None,
        };
        self.service.create_user(&self.operator, new).await.unwrap();
    }

    /// Makes somebody an administrator, who was none a moment ago.
    async fn promote(&self, name: &str) {
        for role in [StaffRole::None, StaffRole::Administrator] {
            let change = UserChange { staff_role: Some(role), ..UserChange::default() };
            self.service.update_user(&self.operator, name, change).await.unwrap();
        }
    }

    /// What was raised of others, the newest first, once everything has been looked at.
    async fn raised(&self) -> Vec<Alert> {
        let all = self.all().await;
        all.into_iter().filter(|alert| alert.subject != "user:root").collect()
    }

    async fn all(&self) -> Vec<Alert> {
        self.service.sequence_ledger().await.unwrap();
        self.service.watch().await.unwrap();
        let window = Window { limit: 1_000, offset: 0 };
        let found = self.service.alerts(&self.operator, None, AlertFilter::All, window).await.unwrap();
        assert_eq!(found.size, i64::try_from(found.values.len()).ok());
        found.values
    }
}

/// Would catch: the same told twice in a day, also after it was acknowledged; something that is told on one day and never
/// again; an alert of one subject that hides another's.
#[tokio::test(flavor = "multi_thread")]
async fn an_alert_is_raised_once_for_each_subject_and_day() {
    let house = House::new().await;
    house.user("ann").await;
    house.user("ben").await;
    house.promote("ann").await;
    let first = house.raised().await;
    assert_eq!(first.len(), 1, "{first:?}");
    let _ = house.service.acknowledge_alert(&house.operator, None, first[0].id).await.unwrap();
    assert_eq!(house.service.open_alerts(&house.operator, None).await.unwrap(), 0);
    for _ in 0..2 {
        house.clock.advance(60);
        house.promote("ann").await;
        assert_eq!(house.raised().await.len(), 1, "on the same day");
    }
    house.promote("ben").await;
    assert_eq!(house.raised().await.len(), 2, "another subject");
    house.clock.advance(DAY);
    assert_eq!(house.raised().await.len(), 2, "nothing has happened since");
    house.promote("ann").await;
    let all = house.raised().await;
    let subjects: Vec<_> = all.iter().map(|alert| (alert.subject.as_str(), alert.day)).collect();
    let (day, before) = (house.clock.now().day(), house.clock.now().day() - 1);
    assert_eq!(subjects, [("user:ann", day), ("user:ben", before), ("user:ann", before)]);
    assert_eq!(house.service.open_alerts(&house.operator, None).await.unwrap(), 2);
}

/// Attack: somebody makes so many alerts that nobody finds the one that tells of them, or that the disk fills.
#[tokio::test(flavor = "multi_thread")]
async fn so_many_alerts_of_a_pattern_are_raised_in_a_day() {
    let house = House::new().await;
    let names: Vec<String> = (0..MOST + 5).map(|number| format!("user{number}")).collect();
    for name in &names {
        house.user(name).await;
        house.promote(name).await;
    }
    assert_eq!(house.raised().await.len(), MOST);
    house.clock.advance(DAY);
    house.promote("user0").await;
    assert_eq!(house.raised().await.len(), MOST + 1, "the next day begins anew");
}
