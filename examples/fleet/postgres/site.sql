-- One more site: psql -v site=mill-lane-4 -v password="$(cat mill-lane-4.password)" -f site.sql energy
CREATE ROLE :"site" LOGIN PASSWORD :'password' CONNECTION LIMIT 4 IN ROLE sites;
