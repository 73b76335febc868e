-- Signing in through a workspace's identity provider (OpenID Connect). The client's secret is sealed; a public client has
-- none.
CREATE TABLE identity_provider (
    workspace_id {uuid} PRIMARY KEY REFERENCES workspace (id),
    issuer TEXT NOT NULL,
    client_id TEXT NOT NULL,
    client_secret {bytes},
    scopes {json} NOT NULL,
    groups_claim TEXT,
    group_mapping {json} NOT NULL,
    makes_accounts {bool} NOT NULL,
    changed_by TEXT NOT NULL,
    changed_on {time} NOT NULL
) {strict};

-- Who a provider's subject is here. Linked by issuer and subject alone: addresses change hands.
CREATE TABLE identity (
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    user_id {uuid} NOT NULL REFERENCES user_account (id),
    workspace_id {uuid} NOT NULL,
    created_on {time} NOT NULL,
    PRIMARY KEY (issuer, subject)
) {strict};
CREATE INDEX identity_of_user ON identity (user_id);
CREATE INDEX identity_of_workspace ON identity (workspace_id);
