-- Run once by the owner of the database, after schema.sql. The gateways of sites make no tables.
CREATE ROLE sites NOLOGIN;
GRANT SELECT ON energi_schema TO sites;
GRANT INSERT ON reading TO sites;
GRANT SELECT, INSERT, UPDATE ON daily_energy TO sites;

-- A site's name is that of its role. It adds rows of its own, and sees no readings at all.
ALTER TABLE reading ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON reading FOR INSERT TO sites WITH CHECK (site = current_user);
ALTER TABLE daily_energy ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON daily_energy TO sites USING (site = current_user) WITH CHECK (site = current_user);

-- For dashboards: reads everything, changes nothing.
CREATE ROLE dashboard NOLOGIN BYPASSRLS;
GRANT SELECT ON reading, daily_energy TO dashboard;

-- What came lately, of all sites, without a search through everything: readings arrive nearly in order.
CREATE INDEX reading_time ON reading USING brin (time);
