-- The tables of the postgres sink. A gateway whose role may create tables runs this itself.
CREATE TABLE energi_schema (version integer NOT NULL);
INSERT INTO energi_schema VALUES (1);

-- One row a value. Flags are 0 and 1; the word of an enumeration is in `text`.
CREATE TABLE reading (
    serial bigint NOT NULL,
    time timestamptz NOT NULL,
    packet text NOT NULL,
    key text NOT NULL,
    value double precision,
    text text,
    site text,
    PRIMARY KEY (serial, time, packet, key)
);

-- The days of a gateway's SQLite history. NULL is unknown.
CREATE TABLE daily_energy (
    serial bigint NOT NULL,
    date date NOT NULL,
    diverted_kwh double precision,
    import_kwh double precision,
    export_kwh double precision,
    generation_kwh double precision,
    complete boolean NOT NULL,
    site text,
    PRIMARY KEY (serial, date)
);
