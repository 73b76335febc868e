-- Who has the last word about what pipelines do: a provider that is asked, and rules. The key that signs what the provider
-- is sent is sealed.
CREATE TABLE dynamic_pipeline (
    place_kind TEXT NOT NULL,
    place_id {uuid} NOT NULL,
    address TEXT,
    secret {bytes},
    time_limit {int} NOT NULL,
    enabled {bool} NOT NULL,
    rules TEXT NOT NULL,
    set_by TEXT NOT NULL,
    set_on {time} NOT NULL,
    PRIMARY KEY (place_kind, place_id)
) {strict};

-- What a run was planned from after that, where it differs from what it began with. `before` is what it began with, in the
-- same form; `sources` who changed it.
CREATE TABLE pipeline_final_configuration (
    pipeline_id {uuid} PRIMARY KEY REFERENCES pipeline (id),
    sources {json} NOT NULL,
    before TEXT NOT NULL,
    text TEXT NOT NULL
) {strict};
