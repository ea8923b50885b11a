//! Rules, the memberships that rest on them, and invitations.

use model::{ConnectionId, Role, TenantId};

use super::world::{HOUR, World, logged, race};
use crate::{
    ChangeKind, StorageError,
    repo::{
        AccessRule, Admission, Connection, ConnectionOwner, Grant, GrantState, Invitation, Member, MemberChange, Repos,
        RuleKind, SignInMethod, User, UserState,
    },
};

fn rule(world: &World, tenant: TenantId, connection: ConnectionId, value: &str) -> AccessRule {
    AccessRule {
        id: world.id(),
        tenant,
        connection,
        kind: RuleKind::Group,
        value: value.to_owned(),
        role: Role::Member,
        created_at: world.now(),
        declared: value == "staff",
    }
}

/// A tenant `acme` with alice as its owner and a connection, and bob, who is in no tenant.
async fn settle(world: &World, repos: &Repos) -> (User, User, crate::repo::Server, Connection) {
    let (alice, server) = world.acme(repos).await;
    let connection = world.connection(ConnectionOwner::Tenant(server.tenant), "sso", "acme.sso");
    repos.connections.create(&connection, &world.audit("a")).await.unwrap();
    let bob = world.user("bob");
    repos.users.create(&bob, None, &[], &world.audit("a")).await.unwrap();
    (alice, bob, server, connection)
}

pub(super) async fn rest_on_rules(world: &World, repos: Repos) {
    let (alice, bob, server, connection) = settle(world, &repos).await;
    let tenant = server.tenant;
    let (staff, devs) = (rule(world, tenant, connection.id, "staff"), rule(world, tenant, connection.id, "devs"));
    for rule in [&staff, &devs] {
        repos.admissions.create_rule(rule, &world.audit("a")).await.unwrap();
    }
    let twice = AccessRule { id: world.id(), role: Role::Admin, ..staff.clone() };
    let twice = repos.admissions.create_rule(&twice, &world.audit("a")).await;
    assert!(matches!(twice, Err(StorageError::Taken(_))), "{twice:?}");
    assert_eq!(repos.admissions.rules(tenant, None, 1).await.unwrap(), std::slice::from_ref(&staff));
    assert_eq!(repos.admissions.rules(tenant, Some(staff.id), 9).await.unwrap(), std::slice::from_ref(&devs));
    assert_eq!(repos.admissions.rules_of(connection.id, None, 9).await.unwrap(), [staff.clone(), devs.clone()]);

    let member = Member { tenant, user: bob.id, role: Role::Member };
    let admission = Admission { member, rule: staff.id };
    let (head, audit) = (repos.changes.head().await.unwrap(), world.audit("member.admitted").in_tenant(tenant));
    assert!(repos.admissions.admit(&admission, &audit).await.unwrap());
    assert!(logged(&repos, Some(tenant), audit.id).await);
    let changes = repos.changes.since(head, 9).await.unwrap();
    assert!(changes.iter().any(|change| change.kind == ChangeKind::Tenant && change.subject == *tenant.bytes()));
    assert_eq!(repos.admissions.admissions(bob.id, connection.id).await.unwrap(), [admission]);
    assert_eq!(repos.admissions.rule_of(tenant, bob.id).await.unwrap(), Some(staff.id));

    // Another rule makes more of the same person; a membership that somebody gave stays as it is.
    let more = Admission { member: Member { role: Role::Developer, ..member }, rule: devs.id };
    assert!(repos.admissions.admit(&more, &world.audit("a")).await.unwrap());
    assert_eq!(repos.tenants.role(tenant, bob.id).await.unwrap(), Some(Role::Developer));
    assert!(repos.admissions.set_rule_role(tenant, devs.id, Role::Viewer, &world.audit("a")).await.unwrap());
    assert_eq!(repos.tenants.role(tenant, bob.id).await.unwrap(), Some(Role::Viewer));
    let owner = Admission { member: Member { user: alice.id, ..member }, rule: staff.id };
    assert!(!repos.admissions.admit(&owner, &world.audit("a")).await.unwrap());
    assert_eq!(repos.tenants.role(tenant, alice.id).await.unwrap(), Some(Role::Owner));
    assert!(!repos.admissions.dismiss(tenant, alice.id, &world.audit("a")).await.unwrap());

    let (grant, _) = world.active(&repos, &bob, &server).await;
    assert!(repos.admissions.dismiss(tenant, bob.id, &world.audit("a")).await.unwrap());
    assert!(!repos.admissions.dismiss(tenant, bob.id, &world.audit("a")).await.unwrap());
    assert_eq!(repos.tenants.role(tenant, bob.id).await.unwrap(), None);
    assert!(matches!(repos.grants.grant(grant.id).await.unwrap().unwrap().state, GrantState::Revoked { .. }));

    // What somebody decides about a person no longer rests on a rule.
    repos.admissions.admit(&admission, &world.audit("a")).await.unwrap();
    repos.tenants.put_member(&member, &world.audit("a")).await.unwrap();
    assert_eq!(repos.admissions.rule_of(tenant, bob.id).await.unwrap(), None);
    assert!(!repos.admissions.dismiss(tenant, bob.id, &world.audit("a")).await.unwrap());
}

pub(super) async fn go_with_their_rule(world: &World, repos: Repos) {
    let (alice, bob, server, connection) = settle(world, &repos).await;
    let tenant = server.tenant;
    let admit = async |value: &str| {
        let rule = rule(world, tenant, connection.id, value);
        repos.admissions.create_rule(&rule, &world.audit("a")).await.unwrap();
        let member = Member { tenant, user: bob.id, role: Role::Member };
        assert!(repos.admissions.admit(&Admission { member, rule: rule.id }, &world.audit("a")).await.unwrap());
        (rule, world.active(&repos, &bob, &server).await.0)
    };
    let ended = async |grant: Grant, head| {
        assert_eq!(repos.tenants.role(tenant, bob.id).await.unwrap(), None);
        assert!(matches!(repos.grants.grant(grant.id).await.unwrap().unwrap().state, GrantState::Revoked { .. }));
        let changes = repos.changes.since(head, 99).await.unwrap();
        assert!(changes.iter().any(|change| change.kind == ChangeKind::Tenant && change.subject == *tenant.bytes()));
        assert!(changes.iter().any(|change| change.kind == ChangeKind::Grant && change.subject == *grant.id.bytes()));
    };
    let (staff, grant) = admit("staff").await;
    let head = repos.changes.head().await.unwrap();
    assert!(!repos.admissions.delete_rule(world.id(), staff.id, &world.audit("a")).await.unwrap());
    assert_eq!(repos.tenants.role(tenant, bob.id).await.unwrap(), Some(Role::Member), "another tenant's call");
    assert!(repos.admissions.delete_rule(tenant, staff.id, &world.audit("a")).await.unwrap());
    assert!(!repos.admissions.delete_rule(tenant, staff.id, &world.audit("a")).await.unwrap());
    ended(grant, head).await;

    let (_, grant) = admit("devs").await;
    let head = repos.changes.head().await.unwrap();
    assert!(repos.connections.delete(connection.id, &world.audit("a")).await.unwrap());
    ended(grant, head).await;
    assert!(repos.admissions.rules(tenant, None, 9).await.unwrap().is_empty());
    assert_eq!(repos.tenants.role(tenant, alice.id).await.unwrap(), Some(Role::Owner));

    // A tenant goes with rules about its own and about the platform's connections, and with who came by them.
    for owner in [ConnectionOwner::Tenant(tenant), ConnectionOwner::Platform] {
        let slug = if owner == ConnectionOwner::Platform { "platform" } else { "own" };
        let connection = world.connection(owner, slug, slug);
        repos.connections.create(&connection, &world.audit("a")).await.unwrap();
        let rule = rule(world, tenant, connection.id, "all");
        repos.admissions.create_rule(&rule, &world.audit("a")).await.unwrap();
        let carol = world.user(&format!("carol-{slug}"));
        repos.users.create(&carol, None, &[], &world.audit("a")).await.unwrap();
        let member = Member { tenant, user: carol.id, role: Role::Member };
        assert!(repos.admissions.admit(&Admission { member, rule: rule.id }, &world.audit("a")).await.unwrap());
    }
    assert!(repos.tenants.delete(tenant, &world.audit("a")).await.unwrap());
    assert!(repos.tenants.memberships(alice.id, None, 9).await.unwrap().is_empty());
}

pub(super) async fn leave_an_owner(world: &World, repos: Repos) {
    let (alice, bob, server, _) = settle(world, &repos).await;
    let tenant = server.tenant;
    let as_role = |user: &User, role| Member { tenant, user: user.id, role };
    let change = async |member: Member| repos.tenants.change_role(&member, &world.audit("a")).await.unwrap();
    assert_eq!(change(as_role(&alice, Role::Admin)).await, MemberChange::LastOwner);
    assert_eq!(repos.tenants.expel(tenant, alice.id, &world.audit("a")).await.unwrap(), MemberChange::LastOwner);
    assert_eq!(change(as_role(&bob, Role::Owner)).await, MemberChange::Absent, "it adds nobody");
    repos.tenants.put_member(&as_role(&bob, Role::Owner), &world.audit("a")).await.unwrap();

    // An owner who may not sign in is none who could help.
    repos.users.update(&User { state: UserState::Blocked, ..bob.clone() }, &world.audit("a")).await.unwrap();
    assert_eq!(change(as_role(&alice, Role::Admin)).await, MemberChange::LastOwner);
    repos.users.update(&bob, &world.audit("a")).await.unwrap();

    // Of two owners who both step down, one stays.
    let both = [alice.clone(), bob.clone()];
    let done = race(2, |at| {
        let (tenants, audit) = (repos.tenants.clone(), world.audit("a"));
        let member = as_role(&both[at], Role::Viewer);
        async move { tenants.change_role(&member, &audit).await.unwrap() }
    })
    .await;
    assert_eq!(done.iter().filter(|change| **change == MemberChange::Done).count(), 1, "{done:?}");
    let left = if repos.tenants.role(tenant, alice.id).await.unwrap() == Some(Role::Owner) { &alice } else { &bob };
    let other = if left.id == alice.id { &bob } else { &alice };
    repos.tenants.put_member(&as_role(other, Role::Member), &world.audit("a")).await.unwrap();
    let (grant, _) = world.active(&repos, other, &server).await;
    assert_eq!(repos.tenants.expel(tenant, other.id, &world.audit("a")).await.unwrap(), MemberChange::Done);
    assert_eq!(repos.tenants.expel(tenant, other.id, &world.audit("a")).await.unwrap(), MemberChange::Absent);
    assert!(matches!(repos.grants.grant(grant.id).await.unwrap().unwrap().state, GrantState::Revoked { .. }));
}

pub(super) async fn are_accepted_once(world: &World, repos: Repos) {
    let (alice, bob, server, _) = settle(world, &repos).await;
    let tenant = server.tenant;
    let invitation = || Invitation {
        id: world.id(),
        tenant,
        hash: world.hash(),
        role: Role::Developer,
        email: Some("bob@example.com".to_owned()),
        created_by: alice.id,
        created_at: world.now(),
        expires_at: world.now() + HOUR,
    };
    let [first, second, third] = [invitation(), invitation(), invitation()];
    for one in [&first, &second, &third] {
        repos.admissions.invite(one, &world.audit("a")).await.unwrap();
    }
    let now = world.now();
    assert_eq!(repos.admissions.invitation(&first.hash, now).await.unwrap(), Some(first.clone()));
    assert_eq!(repos.admissions.invitation(&first.hash, now + HOUR).await.unwrap(), None, "it has expired");
    assert!(!repos.admissions.accept(&first.hash, bob.id, now + HOUR, &world.audit("a")).await.unwrap());
    assert_eq!(
        repos.admissions.invitations(tenant, now, Some(first.id), 1).await.unwrap(),
        std::slice::from_ref(&second)
    );

    let people: Vec<_> = (0..8).map(|at| world.user(&format!("guest-{at}"))).collect();
    for person in &people {
        repos.users.create(person, None, &[], &world.audit("a")).await.unwrap();
    }
    let won = race(people.len(), |at| {
        let (admissions, user, audit) = (repos.admissions.clone(), people[at].id, world.audit("a"));
        async move { admissions.accept(&first.hash, user, now, &audit).await.unwrap().then_some(user) }
    })
    .await;
    let winners: Vec<_> = won.into_iter().flatten().collect();
    assert_eq!(winners.len(), 1);
    assert_eq!(repos.tenants.role(tenant, winners[0]).await.unwrap(), Some(Role::Developer));

    let again = repos.admissions.accept(&second.hash, alice.id, now, &world.audit("a")).await;
    assert!(matches!(again, Err(StorageError::Taken(_))), "{again:?}");
    assert_eq!(repos.tenants.role(tenant, alice.id).await.unwrap(), Some(Role::Owner));
    assert!(!repos.admissions.withdraw(world.id(), second.id, &world.audit("a")).await.unwrap());
    assert!(repos.admissions.withdraw(tenant, second.id, &world.audit("a")).await.unwrap());
    assert!(!repos.admissions.accept(&second.hash, bob.id, now, &world.audit("a")).await.unwrap());
    assert_eq!(repos.admissions.purge_invitations(now, 9).await.unwrap(), 0);
    assert_eq!(repos.admissions.purge_invitations(now + HOUR, 9).await.unwrap(), 1);
}

pub(super) async fn end_with_a_block(world: &World, repos: Repos) {
    let (_, bob, server, connection) = settle(world, &repos).await;
    let member = Member { tenant: server.tenant, user: bob.id, role: Role::Member };
    repos.tenants.put_member(&member, &world.audit("a")).await.unwrap();
    let (grant, _) = world.active(&repos, &bob, &server).await;
    let epoch = async || repos.users.user(bob.id).await.unwrap().unwrap().session_epoch;
    assert_eq!(epoch().await, 0);
    let blocked = User { state: UserState::Blocked, ..bob.clone() };
    repos.users.update(&blocked, &world.audit("a")).await.unwrap();
    assert!(matches!(repos.grants.grant(grant.id).await.unwrap().unwrap().state, GrantState::Revoked { .. }));
    repos.users.update(&bob, &world.audit("a")).await.unwrap();
    assert_eq!(epoch().await, 1, "sessions of before do not come back");
    assert!(repos.users.end_sessions(bob.id, &world.audit("a")).await.unwrap());
    assert_eq!(epoch().await, 2);
    assert!(!repos.users.end_sessions(world.id(), &world.audit("a")).await.unwrap());

    // The same for a connection that is switched off: what was made through it ends, for good.
    let through = Grant { method: SignInMethod::Connection(connection.id), ..world.grant(bob.id, &server) };
    repos.grants.authorize(&through, &world.code(&through), &world.audit("a")).await.unwrap();
    let off = Connection { enabled: false, ..connection.clone() };
    repos.connections.update(&off, &world.audit("a")).await.unwrap();
    assert!(!repos.connections.connection(connection.id).await.unwrap().unwrap().enabled);
    assert!(matches!(repos.grants.grant(through.id).await.unwrap().unwrap().state, GrantState::Revoked { .. }));
}
