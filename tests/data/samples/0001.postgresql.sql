CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num));
INSERT INTO alembic_version VALUES ('0001');
CREATE TABLE baseline (
	kind VARCHAR(64) COLLATE "C" NOT NULL, 
	key BYTEA NOT NULL, 
	digest BYTEA NOT NULL, 
	PRIMARY KEY (kind, key)
);
CREATE TABLE campaign (
	id UUID NOT NULL, 
	name VARCHAR(255) COLLATE "C" NOT NULL, 
	doc TEXT COLLATE "C" NOT NULL, 
	document TEXT COLLATE "C" NOT NULL, 
	at_ns BIGINT NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE collection (
	id SERIAL NOT NULL, 
	name VARCHAR(255) COLLATE "C" NOT NULL, 
	type SMALLINT NOT NULL, 
	doc TEXT COLLATE "C" DEFAULT '' NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (name)
);
CREATE TABLE dataset (
	id UUID NOT NULL, 
	dataset_type_id INTEGER NOT NULL, 
	run_id INTEGER NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE dataset_type (
	id SERIAL NOT NULL, 
	name VARCHAR(128) COLLATE "C" NOT NULL, 
	dimensions TEXT COLLATE "C" NOT NULL, 
	storage_class VARCHAR(64) COLLATE "C" NOT NULL, 
	is_calibration BOOLEAN NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (name)
);
CREATE TABLE dim_instrument (
	instrument VARCHAR(32) COLLATE "C" NOT NULL, 
	visit_max BIGINT, 
	visit_system BIGINT, 
	exposure_max BIGINT, 
	detector_max BIGINT, 
	class_name VARCHAR COLLATE "C", 
	PRIMARY KEY (instrument)
);
CREATE TABLE dim_skymap (
	skymap VARCHAR(64) COLLATE "C" NOT NULL, 
	hash BYTEA, 
	tract_max BIGINT, 
	patch_nx_max BIGINT, 
	patch_ny_max BIGINT, 
	PRIMARY KEY (skymap), 
	UNIQUE (hash)
);
CREATE TABLE history (
	position SERIAL NOT NULL, 
	at_ns BIGINT NOT NULL, 
	command TEXT COLLATE "C" NOT NULL, 
	change TEXT COLLATE "C" NOT NULL, 
	PRIMARY KEY (position)
);
CREATE TABLE journal (
	operation UUID NOT NULL, 
	item BYTEA NOT NULL, 
	state VARCHAR(16) COLLATE "C" NOT NULL, 
	payload TEXT COLLATE "C" DEFAULT '{}' NOT NULL, 
	at_ns BIGINT NOT NULL, 
	PRIMARY KEY (operation, item)
);
CREATE TABLE push_ledger (
	id UUID NOT NULL, 
	campaign_id UUID NOT NULL, 
	campaign VARCHAR(255) COLLATE "C" NOT NULL, 
	who TEXT COLLATE "C" NOT NULL, 
	host TEXT COLLATE "C" NOT NULL, 
	at_ns BIGINT NOT NULL, 
	runs TEXT COLLATE "C" NOT NULL, 
	summary TEXT COLLATE "C" NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE quantum_input (
	quantum_id UUID NOT NULL, 
	dataset_id UUID NOT NULL, 
	connection VARCHAR(64) COLLATE "C" NOT NULL, 
	was_read BOOLEAN NOT NULL, 
	PRIMARY KEY (quantum_id, dataset_id, connection)
);
CREATE INDEX ix_quantum_input_dataset_id ON quantum_input (dataset_id);
CREATE TABLE quantum_output (
	quantum_id UUID NOT NULL, 
	dataset_id UUID NOT NULL, 
	connection VARCHAR(64) COLLATE "C" NOT NULL, 
	PRIMARY KEY (quantum_id, dataset_id, connection)
);
CREATE INDEX ix_quantum_output_dataset_id ON quantum_output (dataset_id);
CREATE TABLE repository (
	key VARCHAR COLLATE "C" NOT NULL, 
	value TEXT COLLATE "C" NOT NULL, 
	PRIMARY KEY (key)
);
CREATE TABLE artifact (
	id UUID NOT NULL, 
	uri TEXT COLLATE "C" NOT NULL, 
	size BIGINT NOT NULL, 
	checksum TEXT COLLATE "C" NOT NULL, 
	formatter VARCHAR(64) COLLATE "C" NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(id) REFERENCES dataset (id) ON DELETE CASCADE
);
CREATE TABLE collection_chain (
	parent_id INTEGER NOT NULL, 
	position INTEGER NOT NULL, 
	child_id INTEGER NOT NULL, 
	PRIMARY KEY (parent_id, position), 
	FOREIGN KEY(parent_id) REFERENCES collection (id) ON DELETE CASCADE, 
	FOREIGN KEY(child_id) REFERENCES collection (id)
);
CREATE INDEX ix_collection_chain_child_id ON collection_chain (child_id);
CREATE TABLE dim_day_obs (
	instrument VARCHAR(32) COLLATE "C" NOT NULL, 
	day_obs BIGINT NOT NULL, 
	timespan_begin BIGINT, 
	timespan_end BIGINT, 
	PRIMARY KEY (instrument, day_obs), 
	FOREIGN KEY(instrument) REFERENCES dim_instrument (instrument)
);
CREATE TABLE dim_detector (
	instrument VARCHAR(32) COLLATE "C" NOT NULL, 
	detector BIGINT NOT NULL, 
	full_name VARCHAR COLLATE "C", 
	name_in_raft VARCHAR COLLATE "C", 
	raft VARCHAR COLLATE "C", 
	purpose VARCHAR COLLATE "C", 
	PRIMARY KEY (instrument, detector), 
	UNIQUE (instrument, full_name), 
	FOREIGN KEY(instrument) REFERENCES dim_instrument (instrument)
);
CREATE TABLE dim_group (
	instrument VARCHAR(32) COLLATE "C" NOT NULL, 
	"group" VARCHAR(64) COLLATE "C" NOT NULL, 
	PRIMARY KEY (instrument, "group"), 
	FOREIGN KEY(instrument) REFERENCES dim_instrument (instrument)
);
CREATE TABLE dim_physical_filter (
	instrument VARCHAR(32) COLLATE "C" NOT NULL, 
	physical_filter VARCHAR(32) COLLATE "C" NOT NULL, 
	band VARCHAR(32) COLLATE "C", 
	PRIMARY KEY (instrument, physical_filter), 
	FOREIGN KEY(instrument) REFERENCES dim_instrument (instrument)
);
CREATE TABLE dim_tract (
	skymap VARCHAR(64) COLLATE "C" NOT NULL, 
	tract BIGINT NOT NULL, 
	region BYTEA, 
	PRIMARY KEY (skymap, tract), 
	FOREIGN KEY(skymap) REFERENCES dim_skymap (skymap)
);
CREATE TABLE dim_visit_system (
	instrument VARCHAR(32) COLLATE "C" NOT NULL, 
	visit_system BIGINT NOT NULL, 
	name VARCHAR COLLATE "C", 
	PRIMARY KEY (instrument, visit_system), 
	UNIQUE (instrument, name), 
	FOREIGN KEY(instrument) REFERENCES dim_instrument (instrument)
);
CREATE TABLE quantum (
	id UUID NOT NULL, 
	attempt SMALLINT NOT NULL, 
	run_id INTEGER NOT NULL, 
	task VARCHAR(128) COLLATE "C" NOT NULL, 
	data_id TEXT COLLATE "C" NOT NULL, 
	status VARCHAR(16) COLLATE "C" NOT NULL, 
	started_ns BIGINT, 
	finished_ns BIGINT, 
	cpu_ns BIGINT, 
	peak_bytes BIGINT, 
	host TEXT COLLATE "C", 
	message TEXT COLLATE "C", 
	graph_id UUID, 
	PRIMARY KEY (id, attempt), 
	FOREIGN KEY(run_id) REFERENCES collection (id)
);
CREATE INDEX ix_quantum_run_id ON quantum (run_id);
CREATE TABLE tags_none (
	collection_id INTEGER NOT NULL, 
	dataset_type_id INTEGER NOT NULL, 
	dataset_id UUID NOT NULL, 
	PRIMARY KEY (collection_id, dataset_type_id), 
	FOREIGN KEY(collection_id) REFERENCES collection (id), 
	FOREIGN KEY(dataset_type_id) REFERENCES dataset_type (id), 
	FOREIGN KEY(dataset_id) REFERENCES dataset (id) ON DELETE CASCADE
);
CREATE INDEX ix_tags_none_dataset_id ON tags_none (dataset_id);
CREATE TABLE calibs_instrument_detector (
	collection_id INTEGER NOT NULL, 
	dataset_type_id INTEGER NOT NULL, 
	instrument VARCHAR(32) COLLATE "C" NOT NULL, 
	detector BIGINT NOT NULL, 
	valid_begin BIGINT NOT NULL, 
	valid_end BIGINT NOT NULL, 
	dataset_id UUID NOT NULL, 
	PRIMARY KEY (collection_id, dataset_type_id, instrument, detector, valid_begin), 
	FOREIGN KEY(instrument, detector) REFERENCES dim_detector (instrument, detector), 
	FOREIGN KEY(collection_id) REFERENCES collection (id), 
	FOREIGN KEY(dataset_type_id) REFERENCES dataset_type (id), 
	FOREIGN KEY(dataset_id) REFERENCES dataset (id) ON DELETE CASCADE
);
CREATE INDEX ix_calibs_instrument_detector_dataset_id ON calibs_instrument_detector (dataset_id);
CREATE TABLE dim_exposure (
	instrument VARCHAR(32) COLLATE "C" NOT NULL, 
	exposure BIGINT NOT NULL, 
	day_obs BIGINT, 
	"group" VARCHAR(64) COLLATE "C", 
	physical_filter VARCHAR(32) COLLATE "C", 
	obs_id VARCHAR COLLATE "C", 
	exposure_time DOUBLE PRECISION, 
	dark_time DOUBLE PRECISION, 
	observation_type VARCHAR COLLATE "C", 
	observation_reason VARCHAR COLLATE "C", 
	seq_num BIGINT, 
	seq_start BIGINT, 
	seq_end BIGINT, 
	target_name VARCHAR COLLATE "C", 
	science_program VARCHAR COLLATE "C", 
	tracking_ra DOUBLE PRECISION, 
	tracking_dec DOUBLE PRECISION, 
	sky_angle DOUBLE PRECISION, 
	azimuth DOUBLE PRECISION, 
	zenith_angle DOUBLE PRECISION, 
	has_simulated BOOLEAN, 
	can_see_sky BOOLEAN, 
	timespan_begin BIGINT, 
	timespan_end BIGINT, 
	PRIMARY KEY (instrument, exposure), 
	UNIQUE (instrument, obs_id), 
	FOREIGN KEY(instrument) REFERENCES dim_instrument (instrument), 
	FOREIGN KEY(instrument, day_obs) REFERENCES dim_day_obs (instrument, day_obs), 
	FOREIGN KEY(instrument, "group") REFERENCES dim_group (instrument, "group"), 
	FOREIGN KEY(instrument, physical_filter) REFERENCES dim_physical_filter (instrument, physical_filter)
);
CREATE TABLE dim_patch (
	skymap VARCHAR(64) COLLATE "C" NOT NULL, 
	tract BIGINT NOT NULL, 
	patch BIGINT NOT NULL, 
	cell_x BIGINT NOT NULL, 
	cell_y BIGINT NOT NULL, 
	region BYTEA, 
	PRIMARY KEY (skymap, tract, patch), 
	FOREIGN KEY(skymap, tract) REFERENCES dim_tract (skymap, tract)
);
CREATE TABLE dim_visit (
	instrument VARCHAR(32) COLLATE "C" NOT NULL, 
	visit BIGINT NOT NULL, 
	day_obs BIGINT, 
	physical_filter VARCHAR(32) COLLATE "C", 
	name VARCHAR COLLATE "C", 
	seq_num BIGINT, 
	exposure_time DOUBLE PRECISION, 
	target_name VARCHAR COLLATE "C", 
	observation_reason VARCHAR COLLATE "C", 
	science_program VARCHAR COLLATE "C", 
	azimuth DOUBLE PRECISION, 
	zenith_angle DOUBLE PRECISION, 
	region BYTEA, 
	timespan_begin BIGINT, 
	timespan_end BIGINT, 
	PRIMARY KEY (instrument, visit), 
	UNIQUE (instrument, name), 
	FOREIGN KEY(instrument) REFERENCES dim_instrument (instrument), 
	FOREIGN KEY(instrument, day_obs) REFERENCES dim_day_obs (instrument, day_obs), 
	FOREIGN KEY(instrument, physical_filter) REFERENCES dim_physical_filter (instrument, physical_filter)
);
CREATE TABLE overlap_tract (
	skymap VARCHAR(64) COLLATE "C" NOT NULL, 
	tract BIGINT NOT NULL, 
	skypix BIGINT NOT NULL, 
	PRIMARY KEY (skymap, tract, skypix), 
	FOREIGN KEY(skymap, tract) REFERENCES dim_tract (skymap, tract) ON DELETE CASCADE
);
CREATE INDEX ix_overlap_tract_skypix ON overlap_tract (skypix);
CREATE TABLE tags_instrument_detector (
	collection_id INTEGER NOT NULL, 
	dataset_type_id INTEGER NOT NULL, 
	instrument VARCHAR(32) COLLATE "C" NOT NULL, 
	detector BIGINT NOT NULL, 
	dataset_id UUID NOT NULL, 
	PRIMARY KEY (collection_id, dataset_type_id, instrument, detector), 
	FOREIGN KEY(instrument, detector) REFERENCES dim_detector (instrument, detector), 
	FOREIGN KEY(collection_id) REFERENCES collection (id), 
	FOREIGN KEY(dataset_type_id) REFERENCES dataset_type (id), 
	FOREIGN KEY(dataset_id) REFERENCES dataset (id) ON DELETE CASCADE
);
CREATE INDEX ix_tags_instrument_detector_dataset_id ON tags_instrument_detector (dataset_id);
CREATE TABLE dim_visit_definition (
	instrument VARCHAR(32) COLLATE "C" NOT NULL, 
	exposure BIGINT NOT NULL, 
	visit BIGINT NOT NULL, 
	PRIMARY KEY (instrument, exposure, visit), 
	FOREIGN KEY(instrument, exposure) REFERENCES dim_exposure (instrument, exposure), 
	FOREIGN KEY(instrument, visit) REFERENCES dim_visit (instrument, visit)
);
CREATE TABLE dim_visit_detector_region (
	instrument VARCHAR(32) COLLATE "C" NOT NULL, 
	detector BIGINT NOT NULL, 
	visit BIGINT NOT NULL, 
	region BYTEA, 
	PRIMARY KEY (instrument, detector, visit), 
	FOREIGN KEY(instrument, detector) REFERENCES dim_detector (instrument, detector), 
	FOREIGN KEY(instrument, visit) REFERENCES dim_visit (instrument, visit)
);
CREATE TABLE dim_visit_system_membership (
	instrument VARCHAR(32) COLLATE "C" NOT NULL, 
	visit_system BIGINT NOT NULL, 
	visit BIGINT NOT NULL, 
	PRIMARY KEY (instrument, visit_system, visit), 
	FOREIGN KEY(instrument, visit_system) REFERENCES dim_visit_system (instrument, visit_system), 
	FOREIGN KEY(instrument, visit) REFERENCES dim_visit (instrument, visit)
);
CREATE TABLE overlap_patch (
	skymap VARCHAR(64) COLLATE "C" NOT NULL, 
	tract BIGINT NOT NULL, 
	patch BIGINT NOT NULL, 
	skypix BIGINT NOT NULL, 
	PRIMARY KEY (skymap, tract, patch, skypix), 
	FOREIGN KEY(skymap, tract, patch) REFERENCES dim_patch (skymap, tract, patch) ON DELETE CASCADE
);
CREATE INDEX ix_overlap_patch_skypix ON overlap_patch (skypix);
CREATE TABLE overlap_visit (
	instrument VARCHAR(32) COLLATE "C" NOT NULL, 
	visit BIGINT NOT NULL, 
	skypix BIGINT NOT NULL, 
	PRIMARY KEY (instrument, visit, skypix), 
	FOREIGN KEY(instrument, visit) REFERENCES dim_visit (instrument, visit) ON DELETE CASCADE
);
CREATE INDEX ix_overlap_visit_skypix ON overlap_visit (skypix);
CREATE TABLE tags_instrument_detector_exposure (
	collection_id INTEGER NOT NULL, 
	dataset_type_id INTEGER NOT NULL, 
	instrument VARCHAR(32) COLLATE "C" NOT NULL, 
	detector BIGINT NOT NULL, 
	exposure BIGINT NOT NULL, 
	dataset_id UUID NOT NULL, 
	PRIMARY KEY (collection_id, dataset_type_id, instrument, detector, exposure), 
	FOREIGN KEY(instrument, detector) REFERENCES dim_detector (instrument, detector), 
	FOREIGN KEY(instrument, exposure) REFERENCES dim_exposure (instrument, exposure), 
	FOREIGN KEY(collection_id) REFERENCES collection (id), 
	FOREIGN KEY(dataset_type_id) REFERENCES dataset_type (id), 
	FOREIGN KEY(dataset_id) REFERENCES dataset (id) ON DELETE CASCADE
);
CREATE INDEX ix_tags_instrument_detector_exposure_dataset_id ON tags_instrument_detector_exposure (dataset_id);
CREATE TABLE tags_instrument_detector_visit (
	collection_id INTEGER NOT NULL, 
	dataset_type_id INTEGER NOT NULL, 
	instrument VARCHAR(32) COLLATE "C" NOT NULL, 
	detector BIGINT NOT NULL, 
	visit BIGINT NOT NULL, 
	dataset_id UUID NOT NULL, 
	PRIMARY KEY (collection_id, dataset_type_id, instrument, detector, visit), 
	FOREIGN KEY(instrument, detector) REFERENCES dim_detector (instrument, detector), 
	FOREIGN KEY(instrument, visit) REFERENCES dim_visit (instrument, visit), 
	FOREIGN KEY(collection_id) REFERENCES collection (id), 
	FOREIGN KEY(dataset_type_id) REFERENCES dataset_type (id), 
	FOREIGN KEY(dataset_id) REFERENCES dataset (id) ON DELETE CASCADE
);
CREATE INDEX ix_tags_instrument_detector_visit_dataset_id ON tags_instrument_detector_visit (dataset_id);
CREATE TABLE tags_skymap_band_tract_patch (
	collection_id INTEGER NOT NULL, 
	dataset_type_id INTEGER NOT NULL, 
	skymap VARCHAR(64) COLLATE "C" NOT NULL, 
	band VARCHAR(32) COLLATE "C" NOT NULL, 
	tract BIGINT NOT NULL, 
	patch BIGINT NOT NULL, 
	dataset_id UUID NOT NULL, 
	PRIMARY KEY (collection_id, dataset_type_id, skymap, band, tract, patch), 
	FOREIGN KEY(skymap, tract, patch) REFERENCES dim_patch (skymap, tract, patch), 
	FOREIGN KEY(collection_id) REFERENCES collection (id), 
	FOREIGN KEY(dataset_type_id) REFERENCES dataset_type (id), 
	FOREIGN KEY(dataset_id) REFERENCES dataset (id) ON DELETE CASCADE
);
CREATE INDEX ix_tags_skymap_band_tract_patch_dataset_id ON tags_skymap_band_tract_patch (dataset_id);
CREATE TABLE overlap_visit_detector_region (
	instrument VARCHAR(32) COLLATE "C" NOT NULL, 
	detector BIGINT NOT NULL, 
	visit BIGINT NOT NULL, 
	skypix BIGINT NOT NULL, 
	PRIMARY KEY (instrument, detector, visit, skypix), 
	FOREIGN KEY(instrument, detector, visit) REFERENCES dim_visit_detector_region (instrument, detector, visit) ON DELETE CASCADE
);
CREATE INDEX ix_overlap_visit_detector_region_skypix ON overlap_visit_detector_region (skypix);
INSERT INTO baseline (kind, key, digest) VALUES ('dataset', '\x6b', '\x00000000000000000000000000000000');
INSERT INTO campaign (id, name, doc, document, at_ns) VALUES ('01900000-0000-7000-8000-000000000012', 'trial', 'a trial', '{}', 1999987200000000000);
INSERT INTO collection (id, name, type, doc) VALUES (1, 'CAM/raw', 1, 'holds CAM/raw');
INSERT INTO collection (id, name, type, doc) VALUES (2, 'CAM/calib', 1, 'holds CAM/calib');
INSERT INTO collection (id, name, type, doc) VALUES (3, 'u/me/1', 1, 'holds u/me/1');
INSERT INTO collection (id, name, type, doc) VALUES (4, 'CAM/best', 2, 'the good ones');
INSERT INTO collection (id, name, type, doc) VALUES (5, 'CAM/certified', 4, '');
INSERT INTO collection (id, name, type, doc) VALUES (6, 'CAM/defaults', 3, '');
INSERT INTO collection (id, name, type, doc) VALUES (7, 'u/me', 3, '');
INSERT INTO dataset (id, dataset_type_id, run_id) VALUES ('01900000-0000-7000-8000-000000000001', 1, 1);
INSERT INTO dataset (id, dataset_type_id, run_id) VALUES ('01900000-0000-7000-8000-000000000002', 1, 1);
INSERT INTO dataset (id, dataset_type_id, run_id) VALUES ('01900000-0000-7000-8000-000000000003', 1, 1);
INSERT INTO dataset (id, dataset_type_id, run_id) VALUES ('01900000-0000-7000-8000-000000000004', 1, 1);
INSERT INTO dataset (id, dataset_type_id, run_id) VALUES ('01900000-0000-7000-8000-000000000005', 2, 2);
INSERT INTO dataset (id, dataset_type_id, run_id) VALUES ('01900000-0000-7000-8000-000000000006', 2, 2);
INSERT INTO dataset (id, dataset_type_id, run_id) VALUES ('01900000-0000-7000-8000-000000000007', 3, 3);
INSERT INTO dataset (id, dataset_type_id, run_id) VALUES ('01900000-0000-7000-8000-000000000008', 3, 3);
INSERT INTO dataset (id, dataset_type_id, run_id) VALUES ('01900000-0000-7000-8000-000000000009', 3, 3);
INSERT INTO dataset (id, dataset_type_id, run_id) VALUES ('01900000-0000-7000-8000-00000000000a', 3, 3);
INSERT INTO dataset (id, dataset_type_id, run_id) VALUES ('01900000-0000-7000-8000-00000000000b', 4, 3);
INSERT INTO dataset (id, dataset_type_id, run_id) VALUES ('01900000-0000-7000-8000-00000000000c', 5, 3);
INSERT INTO dataset_type (id, name, dimensions, storage_class, is_calibration) VALUES (1, 'raw', 'instrument,detector,exposure', 'Bytes', false);
INSERT INTO dataset_type (id, name, dimensions, storage_class, is_calibration) VALUES (2, 'bias', 'instrument,detector', 'Bytes', true);
INSERT INTO dataset_type (id, name, dimensions, storage_class, is_calibration) VALUES (3, 'calexp', 'instrument,detector,visit', 'Bytes', false);
INSERT INTO dataset_type (id, name, dimensions, storage_class, is_calibration) VALUES (4, 'coadd', 'skymap,band,tract,patch', 'Bytes', false);
INSERT INTO dataset_type (id, name, dimensions, storage_class, is_calibration) VALUES (5, 'packages', '', 'Bytes', false);
INSERT INTO dim_instrument (instrument, visit_max, visit_system, exposure_max, detector_max, class_name) VALUES ('CAM', 1000, NULL, 1000, 2, 'cam.Cam');
INSERT INTO dim_skymap (skymap, hash, tract_max, patch_nx_max, patch_ny_max) VALUES ('rings', '\x0102', 9, NULL, NULL);
INSERT INTO history (position, at_ns, command, change) VALUES (1, 1999987200000000000, 'init', '{}');
INSERT INTO journal (operation, item, state, payload, at_ns) VALUES ('01900000-0000-7000-8000-000000000014', '\x78', 'done', '{}', 1999987200000000000);
INSERT INTO push_ledger (id, campaign_id, campaign, who, host, at_ns, runs, summary) VALUES ('01900000-0000-7000-8000-000000000013', '01900000-0000-7000-8000-000000000012', 'trial', 'me', 'here', 1999987200000000000, '["u/me/1"]', '{}');
INSERT INTO quantum_input (quantum_id, dataset_id, connection, was_read) VALUES ('01900000-0000-7000-8000-00000000000d', '01900000-0000-7000-8000-000000000001', 'raw', true);
INSERT INTO quantum_input (quantum_id, dataset_id, connection, was_read) VALUES ('01900000-0000-7000-8000-00000000000e', '01900000-0000-7000-8000-000000000002', 'raw', true);
INSERT INTO quantum_input (quantum_id, dataset_id, connection, was_read) VALUES ('01900000-0000-7000-8000-00000000000f', '01900000-0000-7000-8000-000000000003', 'raw', true);
INSERT INTO quantum_input (quantum_id, dataset_id, connection, was_read) VALUES ('01900000-0000-7000-8000-000000000010', '01900000-0000-7000-8000-000000000004', 'raw', true);
INSERT INTO quantum_output (quantum_id, dataset_id, connection) VALUES ('01900000-0000-7000-8000-00000000000d', '01900000-0000-7000-8000-000000000007', 'image');
INSERT INTO quantum_output (quantum_id, dataset_id, connection) VALUES ('01900000-0000-7000-8000-00000000000e', '01900000-0000-7000-8000-000000000008', 'image');
INSERT INTO quantum_output (quantum_id, dataset_id, connection) VALUES ('01900000-0000-7000-8000-00000000000f', '01900000-0000-7000-8000-000000000009', 'image');
INSERT INTO quantum_output (quantum_id, dataset_id, connection) VALUES ('01900000-0000-7000-8000-000000000010', '01900000-0000-7000-8000-00000000000a', 'image');
INSERT INTO repository (key, value) VALUES ('created', '2026-01-01T00:00:00+00:00');
INSERT INTO repository (key, value) VALUES ('datastore', 'data');
INSERT INTO repository (key, value) VALUES ('format', 'stage-registry');
INSERT INTO repository (key, value) VALUES ('repo_id', '01900000000070008000000000000000');
INSERT INTO repository (key, value) VALUES ('schema_version', '0001');
INSERT INTO repository (key, value) VALUES ('universe', '{"name": "stage/sky", "version": 1, "common_skypix": "htm7", "elements": {"instrument": {"doc": "A camera or other device that makes observations.", "key": {"name": "name", "type": "string", "length": 32}, "metadata": {"visit_max": {"type": "int", "doc": "Upper bound of visit numbers."}, "visit_system": {"type": "int", "doc": "Default visit system."}, "exposure_max": {"type": "int", "doc": "Upper bound of exposure numbers."}, "detector_max": {"type": "int", "doc": "Upper bound of detector numbers."}, "class_name": {"type": "string", "doc": "Name of a class that describes the device."}}}, "skymap": {"doc": "A division of the sky into tracts and patches.", "key": {"name": "name", "type": "string", "length": 64}, "unique": {"hash": {"type": "hash", "doc": "Digest of the parameters of the sky map."}}, "metadata": {"tract_max": {"type": "int", "doc": "Upper bound of tract numbers."}, "patch_nx_max": {"type": "int", "doc": "Number of patches of a tract in x."}, "patch_ny_max": {"type": "int", "doc": "Number of patches of a tract in y."}}}, "band": {"doc": "A part of the spectrum that filters of several instruments share.", "key": {"name": "name", "type": "string", "length": 32}, "view_of": "physical_filter"}, "physical_filter": {"doc": "One filter of one instrument.", "requires": ["instrument"], "implies": ["band"], "key": {"name": "name", "type": "string", "length": 32}}, "detector": {"doc": "One sensor of an instrument.", "requires": ["instrument"], "key": {"name": "id", "type": "int"}, "unique": {"full_name": {"type": "string", "length": 32}}, "metadata": {"name_in_raft": {"type": "string"}, "raft": {"type": "string"}, "purpose": {"type": "string", "doc": "SCIENCE, FOCUS, GUIDE, …"}}}, "day_obs": {"doc": "An observing day as the observatory counts it.", "requires": ["instrument"], "key": {"name": "id", "type": "int"}, "timespan": true}, "group": {"doc": "Exposures taken together.", "requires": ["instrument"], "key": {"name": "name", "type": "string", "length": 64}}, "visit_system": {"doc": "A way of grouping exposures into visits.", "requires": ["instrument"], "key": {"name": "id", "type": "int"}, "unique": {"name": {"type": "string", "length": 32}}}, "exposure": {"doc": "One readout of all detectors.", "requires": ["instrument"], "implies": ["day_obs", "group", "physical_filter"], "key": {"name": "id", "type": "int"}, "unique": {"obs_id": {"type": "string", "length": 64}}, "metadata": {"exposure_time": {"type": "float", "unit": "s"}, "dark_time": {"type": "float", "unit": "s"}, "observation_type": {"type": "string"}, "observation_reason": {"type": "string"}, "seq_num": {"type": "int"}, "seq_start": {"type": "int"}, "seq_end": {"type": "int"}, "target_name": {"type": "string"}, "science_program": {"type": "string"}, "tracking_ra": {"type": "float", "unit": "deg"}, "tracking_dec": {"type": "float", "unit": "deg"}, "sky_angle": {"type": "float", "unit": "deg"}, "azimuth": {"type": "float", "unit": "deg"}, "zenith_angle": {"type": "float", "unit": "deg"}, "has_simulated": {"type": "bool"}, "can_see_sky": {"type": "bool"}}, "timespan": true}, "visit": {"doc": "Exposures that are processed together as one look at the sky.", "requires": ["instrument"], "implies": ["day_obs", "physical_filter"], "key": {"name": "id", "type": "int"}, "unique": {"name": {"type": "string", "length": 64}}, "metadata": {"seq_num": {"type": "int"}, "exposure_time": {"type": "float", "unit": "s"}, "target_name": {"type": "string"}, "observation_reason": {"type": "string"}, "science_program": {"type": "string"}, "azimuth": {"type": "float", "unit": "deg"}, "zenith_angle": {"type": "float", "unit": "deg"}}, "region": true, "timespan": true}, "tract": {"doc": "A large tile of a sky map.", "requires": ["skymap"], "key": {"name": "id", "type": "int"}, "region": true}, "patch": {"doc": "A small tile of a tract.", "requires": ["skymap", "tract"], "key": {"name": "id", "type": "int"}, "metadata": {"cell_x": {"type": "int", "nullable": false}, "cell_y": {"type": "int", "nullable": false}}, "region": true}, "visit_definition": {"doc": "Which exposures make up a visit.", "requires": ["instrument", "exposure", "visit"], "always_join": true}, "visit_system_membership": {"doc": "Which visits belong to a visit system.", "requires": ["instrument", "visit_system", "visit"], "always_join": true}, "visit_detector_region": {"doc": "Where on the sky one detector was during one visit.", "requires": ["instrument", "detector", "visit"], "region": true}}, "skypix": {"htm": {"min_level": 1, "max_level": 24}, "healpix": {"min_level": 0, "max_level": 17}}, "spatial_families": {"observation": ["visit", "visit_detector_region"], "skymap": ["tract", "patch"]}, "temporal_families": {"observation": ["day_obs", "visit", "exposure"]}}');
INSERT INTO artifact (id, uri, size, checksum, formatter) VALUES ('01900000-0000-7000-8000-000000000001', 'CAM/raw/raw/01900000000070008000000000000001.bin', 17, 'blake3:137b1cbf9161fdeea949591c42978e07056ba6d23b306a7f62cfb5d83ff43b17', 'bytes');
INSERT INTO artifact (id, uri, size, checksum, formatter) VALUES ('01900000-0000-7000-8000-000000000002', 'CAM/raw/raw/01900000000070008000000000000002.bin', 17, 'blake3:466f5b33674cd4cb9629606c59cb7915ac23c7aafd84b84c0171cd77c9f891a3', 'bytes');
INSERT INTO artifact (id, uri, size, checksum, formatter) VALUES ('01900000-0000-7000-8000-000000000003', 'CAM/raw/raw/01900000000070008000000000000003.bin', 17, 'blake3:025ba1e0e50f984a30df9bf5647040933211ae8218def1b00eb64addcee75d34', 'bytes');
INSERT INTO artifact (id, uri, size, checksum, formatter) VALUES ('01900000-0000-7000-8000-000000000004', 'CAM/raw/raw/01900000000070008000000000000004.bin', 17, 'blake3:666c139023ec3449cccd6467540fc813da03ade168566fc16c2ef5d486f28c05', 'bytes');
INSERT INTO artifact (id, uri, size, checksum, formatter) VALUES ('01900000-0000-7000-8000-000000000005', 'CAM/calib/bias/01900000000070008000000000000005.bin', 15, 'blake3:59bb90b6a69e4fc6c26c5ab47562d0408a857f3370b1dd2eb2c1107fcdae28d5', 'bytes');
INSERT INTO artifact (id, uri, size, checksum, formatter) VALUES ('01900000-0000-7000-8000-000000000006', 'CAM/calib/bias/01900000000070008000000000000006.bin', 15, 'blake3:daa3b13f39c28858dd9ed6bcf3906efbb2bd1665e1006a616d845df4e568c2db', 'bytes');
INSERT INTO artifact (id, uri, size, checksum, formatter) VALUES ('01900000-0000-7000-8000-000000000007', 'u/me/1/calexp/01900000000070008000000000000007.bin', 20, 'blake3:2ef2698ac7a27365b8c294e6d334192028c2d173115ecce5310b94c16e18b6f8', 'bytes');
INSERT INTO artifact (id, uri, size, checksum, formatter) VALUES ('01900000-0000-7000-8000-000000000008', 'u/me/1/calexp/01900000000070008000000000000008.bin', 20, 'blake3:74c27b6786a3ba8b3070bfba5feb8558d3adb54dd8baced2b11d8a0523586d62', 'bytes');
INSERT INTO artifact (id, uri, size, checksum, formatter) VALUES ('01900000-0000-7000-8000-000000000009', 'u/me/1/calexp/01900000000070008000000000000009.bin', 20, 'blake3:7fecabbeaf5a46178d727699ea7d3c7e43e16b2924bd312c08544903cf210376', 'bytes');
INSERT INTO artifact (id, uri, size, checksum, formatter) VALUES ('01900000-0000-7000-8000-00000000000a', 'u/me/1/calexp/0190000000007000800000000000000a.bin', 20, 'blake3:f85911f3d0603bef73698e87aa9ee0115561b01257bba9b23da8dc1f2ef8d6cc', 'bytes');
INSERT INTO artifact (id, uri, size, checksum, formatter) VALUES ('01900000-0000-7000-8000-00000000000b', 'u/me/1/coadd/0190000000007000800000000000000b.bin', 26, 'blake3:3f0fe4f53c79b6c648e815a871b5c8b533bf5099d90ce99256cc250adbd8a2c3', 'bytes');
INSERT INTO artifact (id, uri, size, checksum, formatter) VALUES ('01900000-0000-7000-8000-00000000000c', 'u/me/1/packages/0190000000007000800000000000000c.bin', 11, 'blake3:4ec55932cba3d9a90a51b7f72fc129eb1419552d004b8eb618b62413e40d458e', 'bytes');
INSERT INTO collection_chain (parent_id, position, child_id) VALUES (6, 0, 1);
INSERT INTO collection_chain (parent_id, position, child_id) VALUES (7, 0, 3);
INSERT INTO collection_chain (parent_id, position, child_id) VALUES (6, 1, 5);
INSERT INTO collection_chain (parent_id, position, child_id) VALUES (7, 1, 6);
INSERT INTO dim_day_obs (instrument, day_obs, timespan_begin, timespan_end) VALUES ('CAM', 20260101, 1999987200000000000, 2000073600000000000);
INSERT INTO dim_detector (instrument, detector, full_name, name_in_raft, raft, purpose) VALUES ('CAM', 0, 'S0', NULL, NULL, NULL);
INSERT INTO dim_detector (instrument, detector, full_name, name_in_raft, raft, purpose) VALUES ('CAM', 1, 'S1', NULL, NULL, NULL);
INSERT INTO dim_group (instrument, "group") VALUES ('CAM', 'g1');
INSERT INTO dim_group (instrument, "group") VALUES ('CAM', 'g2');
INSERT INTO dim_physical_filter (instrument, physical_filter, band) VALUES ('CAM', 'i-1', 'i');
INSERT INTO dim_physical_filter (instrument, physical_filter, band) VALUES ('CAM', 'r-1', 'r');
INSERT INTO dim_tract (skymap, tract, region) VALUES ('rings', 1, '\x70566d64d0ba8aef3f742a4341fc1cc53f27dcf7c958dea1bf08980d4bcd18ef3f43daebb6e0dccd3f27dcf7c958dea1bf08980d4bcd18ef3f43daebb6e0dccd3f27dcf7c958dea13f566d64d0ba8aef3f742a4341fc1cc53f27dcf7c958dea13f');
INSERT INTO dim_visit_system (instrument, visit_system, name) VALUES ('CAM', 0, 'one-to-one');
INSERT INTO quantum (id, attempt, run_id, task, data_id, status, started_ns, finished_ns, cpu_ns, peak_bytes, host, message, graph_id) VALUES ('01900000-0000-7000-8000-00000000000d', 0, 3, 'calibrate', '{"instrument": "CAM", "visit": 1, "detector": 0}', 'succeeded', 10, 20, 5, 1000, 'here', '', '01900000-0000-7000-8000-000000000011');
INSERT INTO quantum (id, attempt, run_id, task, data_id, status, started_ns, finished_ns, cpu_ns, peak_bytes, host, message, graph_id) VALUES ('01900000-0000-7000-8000-00000000000e', 0, 3, 'calibrate', '{"instrument": "CAM", "visit": 1, "detector": 1}', 'succeeded', 11, 21, 5, 1000, 'here', '', '01900000-0000-7000-8000-000000000011');
INSERT INTO quantum (id, attempt, run_id, task, data_id, status, started_ns, finished_ns, cpu_ns, peak_bytes, host, message, graph_id) VALUES ('01900000-0000-7000-8000-00000000000f', 0, 3, 'calibrate', '{"instrument": "CAM", "visit": 2, "detector": 0}', 'succeeded', 12, 22, 5, 1000, 'here', '', '01900000-0000-7000-8000-000000000011');
INSERT INTO quantum (id, attempt, run_id, task, data_id, status, started_ns, finished_ns, cpu_ns, peak_bytes, host, message, graph_id) VALUES ('01900000-0000-7000-8000-000000000010', 0, 3, 'calibrate', '{"instrument": "CAM", "visit": 2, "detector": 1}', 'succeeded', 13, 23, 5, 1000, 'here', '', '01900000-0000-7000-8000-000000000011');
INSERT INTO tags_none (collection_id, dataset_type_id, dataset_id) VALUES (3, 5, '01900000-0000-7000-8000-00000000000c');
INSERT INTO calibs_instrument_detector (collection_id, dataset_type_id, instrument, detector, valid_begin, valid_end, dataset_id) VALUES (5, 2, 'CAM', 0, 1999900800000000000, 2002579200000000000, '01900000-0000-7000-8000-000000000005');
INSERT INTO calibs_instrument_detector (collection_id, dataset_type_id, instrument, detector, valid_begin, valid_end, dataset_id) VALUES (5, 2, 'CAM', 1, 1999900800000000000, 2002579200000000000, '01900000-0000-7000-8000-000000000006');
INSERT INTO dim_exposure (instrument, exposure, day_obs, "group", physical_filter, obs_id, exposure_time, dark_time, observation_type, observation_reason, seq_num, seq_start, seq_end, target_name, science_program, tracking_ra, tracking_dec, sky_angle, azimuth, zenith_angle, has_simulated, can_see_sky, timespan_begin, timespan_end) VALUES ('CAM', 1, 20260101, 'g1', 'r-1', 'obs1', 30.0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1999988200000000000, 1999988230000000000);
INSERT INTO dim_exposure (instrument, exposure, day_obs, "group", physical_filter, obs_id, exposure_time, dark_time, observation_type, observation_reason, seq_num, seq_start, seq_end, target_name, science_program, tracking_ra, tracking_dec, sky_angle, azimuth, zenith_angle, has_simulated, can_see_sky, timespan_begin, timespan_end) VALUES ('CAM', 2, 20260101, 'g2', 'i-1', 'obs2', 30.0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1999989200000000000, 1999989230000000000);
INSERT INTO dim_patch (skymap, tract, patch, cell_x, cell_y, region) VALUES ('rings', 1, 0, 0, 0, '\x70efa92fc7f978ef3f04f0d350ed1ac73f6afa7a123b7285bf9e25e58d3d58ef3f5137225f8fbcc93f6afa7a123b7285bf9e25e58d3d58ef3f5137225f8fbcc93f6afa7a123b72853fefa92fc7f978ef3f04f0d350ed1ac73f6afa7a123b72853f');
INSERT INTO dim_patch (skymap, tract, patch, cell_x, cell_y, region) VALUES ('rings', 1, 1, 1, 0, '\x703f854feff05def3fb8e9a2087b4cc93f6afa7a123b7285bf4da7fb91453aef3f3108eacdb9ebcb3f6afa7a123b7285bf4da7fb91453aef3f3108eacdb9ebcb3f6afa7a123b72853f3f854feff05def3fb8e9a2087b4cc93f6afa7a123b72853f');
INSERT INTO dim_visit (instrument, visit, day_obs, physical_filter, name, seq_num, exposure_time, target_name, observation_reason, science_program, azimuth, zenith_angle, region, timespan_begin, timespan_end) VALUES ('CAM', 1, 20260101, 'r-1', 'v1', NULL, 30.0, NULL, NULL, NULL, NULL, NULL, '\x70581ce3247471ef3f60fc041bd7c3c73f9d2ab4564e7275bf475c6ccd1561ef3f0a728cdcac14c93f9d2ab4564e7275bf475c6ccd1561ef3f0a728cdcac14c93f9d2ab4564e72753f581ce3247471ef3f60fc041bd7c3c73f9d2ab4564e72753f', 1999988200000000000, 1999988230000000000);
INSERT INTO dim_visit (instrument, visit, day_obs, physical_filter, name, seq_num, exposure_time, target_name, observation_reason, science_program, azimuth, zenith_angle, region, timespan_begin, timespan_end) VALUES ('CAM', 2, 20260101, 'i-1', 'v2', NULL, 30.0, NULL, NULL, NULL, NULL, NULL, '\x70c86300edae55ef3fa9b450cfd7f4c93f9d2ab4564e7275bfbb523ffed843ef3f303c0ae87b44cb3f9d2ab4564e7275bfbb523ffed843ef3f303c0ae87b44cb3f9d2ab4564e72753fc86300edae55ef3fa9b450cfd7f4c93f9d2ab4564e72753f', 1999989200000000000, 1999989230000000000);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 131200);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 131201);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 131202);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 131203);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 131206);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 131209);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 131213);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 131214);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 131215);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 131648);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 131649);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 131650);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 131651);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 131653);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 131654);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 131655);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 131656);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 131657);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 131658);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 131659);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 131660);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 131661);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 131662);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 131663);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 131700);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 131701);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 131702);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 131703);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 131706);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 131708);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 131710);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 131711);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 131904);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 131905);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 131906);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 131907);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 131910);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 131913);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 131917);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 131918);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 131919);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 254016);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 254017);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 254018);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 254019);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 254022);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 254025);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 254029);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 254030);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 254031);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 254336);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 254337);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 254338);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 254339);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 254340);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 254341);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 254342);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 254343);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 254345);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 254346);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 254347);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 254348);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 254349);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 254350);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 254351);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 254389);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 254392);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 254393);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 254394);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 254395);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 254396);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 254397);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 254399);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 254848);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 254849);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 254850);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 254851);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 254854);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 254857);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 254861);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 254862);
INSERT INTO overlap_tract (skymap, tract, skypix) VALUES ('rings', 1, 254863);
INSERT INTO tags_instrument_detector (collection_id, dataset_type_id, instrument, detector, dataset_id) VALUES (2, 2, 'CAM', 0, '01900000-0000-7000-8000-000000000005');
INSERT INTO tags_instrument_detector (collection_id, dataset_type_id, instrument, detector, dataset_id) VALUES (2, 2, 'CAM', 1, '01900000-0000-7000-8000-000000000006');
INSERT INTO dim_visit_definition (instrument, exposure, visit) VALUES ('CAM', 1, 1);
INSERT INTO dim_visit_definition (instrument, exposure, visit) VALUES ('CAM', 2, 2);
INSERT INTO dim_visit_detector_region (instrument, detector, visit, region) VALUES ('CAM', 0, 1, '\x7075366d0bd96aef3fdce698b45a50c83fcb03d3c670984cbf8dc756a41e68ef3f88933a967e88c83fcb03d3c670984cbf8dc756a41e68ef3f88933a967e88c83fcb03d3c670984c3f75366d0bd96aef3fdce698b45a50c83fcb03d3c670984c3f');
INSERT INTO dim_visit_detector_region (instrument, detector, visit, region) VALUES ('CAM', 0, 2, '\x706babda22774eef3f821746e0df80ca3fcb03d3c670984cbfe84844227e4bef3f16c934d0d0b8ca3fcb03d3c670984cbfe84844227e4bef3f16c934d0d0b8ca3fcb03d3c670984c3f6babda22774eef3f821746e0df80ca3fcb03d3c670984c3f');
INSERT INTO dim_visit_detector_region (instrument, detector, visit, region) VALUES ('CAM', 1, 1, '\x708dc756a41e68ef3f87933a967e88c83fcb03d3c670984cbf27802bf85d65ef3f1e5b0f929dc0c83fcb03d3c670984cbf27802bf85d65ef3f1e5b0f929dc0c83fcb03d3c670984c3f8dc756a41e68ef3f87933a967e88c83fcb03d3c670984c3f');
INSERT INTO dim_visit_detector_region (instrument, detector, visit, region) VALUES ('CAM', 1, 2, '\x70e84844227e4bef3f15c934d0d0b8ca3fcb03d3c670984cbfe61250e27e48ef3fc4a27a6abcf0ca3fcb03d3c670984cbfe61250e27e48ef3fc4a27a6abcf0ca3fcb03d3c670984c3fe84844227e4bef3f15c934d0d0b8ca3fcb03d3c670984c3f');
INSERT INTO dim_visit_system_membership (instrument, visit_system, visit) VALUES ('CAM', 0, 1);
INSERT INTO dim_visit_system_membership (instrument, visit_system, visit) VALUES ('CAM', 0, 2);
INSERT INTO overlap_patch (skymap, tract, patch, skypix) VALUES ('rings', 1, 0, 131200);
INSERT INTO overlap_patch (skymap, tract, patch, skypix) VALUES ('rings', 1, 0, 131201);
INSERT INTO overlap_patch (skymap, tract, patch, skypix) VALUES ('rings', 1, 0, 131203);
INSERT INTO overlap_patch (skymap, tract, patch, skypix) VALUES ('rings', 1, 0, 131648);
INSERT INTO overlap_patch (skymap, tract, patch, skypix) VALUES ('rings', 1, 1, 131648);
INSERT INTO overlap_patch (skymap, tract, patch, skypix) VALUES ('rings', 1, 1, 131650);
INSERT INTO overlap_patch (skymap, tract, patch, skypix) VALUES ('rings', 1, 0, 131651);
INSERT INTO overlap_patch (skymap, tract, patch, skypix) VALUES ('rings', 1, 1, 131651);
INSERT INTO overlap_patch (skymap, tract, patch, skypix) VALUES ('rings', 1, 1, 131661);
INSERT INTO overlap_patch (skymap, tract, patch, skypix) VALUES ('rings', 1, 0, 131904);
INSERT INTO overlap_patch (skymap, tract, patch, skypix) VALUES ('rings', 1, 0, 254016);
INSERT INTO overlap_patch (skymap, tract, patch, skypix) VALUES ('rings', 1, 0, 254018);
INSERT INTO overlap_patch (skymap, tract, patch, skypix) VALUES ('rings', 1, 0, 254019);
INSERT INTO overlap_patch (skymap, tract, patch, skypix) VALUES ('rings', 1, 0, 254336);
INSERT INTO overlap_patch (skymap, tract, patch, skypix) VALUES ('rings', 1, 1, 254336);
INSERT INTO overlap_patch (skymap, tract, patch, skypix) VALUES ('rings', 1, 1, 254337);
INSERT INTO overlap_patch (skymap, tract, patch, skypix) VALUES ('rings', 1, 0, 254339);
INSERT INTO overlap_patch (skymap, tract, patch, skypix) VALUES ('rings', 1, 1, 254339);
INSERT INTO overlap_patch (skymap, tract, patch, skypix) VALUES ('rings', 1, 1, 254350);
INSERT INTO overlap_patch (skymap, tract, patch, skypix) VALUES ('rings', 1, 0, 254848);
INSERT INTO overlap_visit (instrument, visit, skypix) VALUES ('CAM', 1, 131200);
INSERT INTO overlap_visit (instrument, visit, skypix) VALUES ('CAM', 1, 131648);
INSERT INTO overlap_visit (instrument, visit, skypix) VALUES ('CAM', 2, 131648);
INSERT INTO overlap_visit (instrument, visit, skypix) VALUES ('CAM', 2, 131650);
INSERT INTO overlap_visit (instrument, visit, skypix) VALUES ('CAM', 2, 131651);
INSERT INTO overlap_visit (instrument, visit, skypix) VALUES ('CAM', 1, 131904);
INSERT INTO overlap_visit (instrument, visit, skypix) VALUES ('CAM', 1, 254016);
INSERT INTO overlap_visit (instrument, visit, skypix) VALUES ('CAM', 1, 254336);
INSERT INTO overlap_visit (instrument, visit, skypix) VALUES ('CAM', 2, 254336);
INSERT INTO overlap_visit (instrument, visit, skypix) VALUES ('CAM', 2, 254337);
INSERT INTO overlap_visit (instrument, visit, skypix) VALUES ('CAM', 2, 254339);
INSERT INTO overlap_visit (instrument, visit, skypix) VALUES ('CAM', 1, 254848);
INSERT INTO tags_instrument_detector_exposure (collection_id, dataset_type_id, instrument, detector, exposure, dataset_id) VALUES (1, 1, 'CAM', 0, 1, '01900000-0000-7000-8000-000000000001');
INSERT INTO tags_instrument_detector_exposure (collection_id, dataset_type_id, instrument, detector, exposure, dataset_id) VALUES (1, 1, 'CAM', 1, 1, '01900000-0000-7000-8000-000000000002');
INSERT INTO tags_instrument_detector_exposure (collection_id, dataset_type_id, instrument, detector, exposure, dataset_id) VALUES (1, 1, 'CAM', 0, 2, '01900000-0000-7000-8000-000000000003');
INSERT INTO tags_instrument_detector_exposure (collection_id, dataset_type_id, instrument, detector, exposure, dataset_id) VALUES (1, 1, 'CAM', 1, 2, '01900000-0000-7000-8000-000000000004');
INSERT INTO tags_instrument_detector_visit (collection_id, dataset_type_id, instrument, detector, visit, dataset_id) VALUES (3, 3, 'CAM', 0, 1, '01900000-0000-7000-8000-000000000007');
INSERT INTO tags_instrument_detector_visit (collection_id, dataset_type_id, instrument, detector, visit, dataset_id) VALUES (4, 3, 'CAM', 0, 1, '01900000-0000-7000-8000-000000000007');
INSERT INTO tags_instrument_detector_visit (collection_id, dataset_type_id, instrument, detector, visit, dataset_id) VALUES (3, 3, 'CAM', 1, 1, '01900000-0000-7000-8000-000000000008');
INSERT INTO tags_instrument_detector_visit (collection_id, dataset_type_id, instrument, detector, visit, dataset_id) VALUES (3, 3, 'CAM', 0, 2, '01900000-0000-7000-8000-000000000009');
INSERT INTO tags_instrument_detector_visit (collection_id, dataset_type_id, instrument, detector, visit, dataset_id) VALUES (3, 3, 'CAM', 1, 2, '01900000-0000-7000-8000-00000000000a');
INSERT INTO tags_skymap_band_tract_patch (collection_id, dataset_type_id, skymap, band, tract, patch, dataset_id) VALUES (3, 4, 'rings', 'r', 1, 0, '01900000-0000-7000-8000-00000000000b');
INSERT INTO overlap_visit_detector_region (instrument, detector, visit, skypix) VALUES ('CAM', 0, 1, 131200);
INSERT INTO overlap_visit_detector_region (instrument, detector, visit, skypix) VALUES ('CAM', 1, 1, 131200);
INSERT INTO overlap_visit_detector_region (instrument, detector, visit, skypix) VALUES ('CAM', 0, 2, 131648);
INSERT INTO overlap_visit_detector_region (instrument, detector, visit, skypix) VALUES ('CAM', 0, 2, 131650);
INSERT INTO overlap_visit_detector_region (instrument, detector, visit, skypix) VALUES ('CAM', 1, 2, 131650);
INSERT INTO overlap_visit_detector_region (instrument, detector, visit, skypix) VALUES ('CAM', 0, 2, 131651);
INSERT INTO overlap_visit_detector_region (instrument, detector, visit, skypix) VALUES ('CAM', 0, 1, 254016);
INSERT INTO overlap_visit_detector_region (instrument, detector, visit, skypix) VALUES ('CAM', 1, 1, 254016);
INSERT INTO overlap_visit_detector_region (instrument, detector, visit, skypix) VALUES ('CAM', 0, 2, 254336);
INSERT INTO overlap_visit_detector_region (instrument, detector, visit, skypix) VALUES ('CAM', 0, 2, 254337);
INSERT INTO overlap_visit_detector_region (instrument, detector, visit, skypix) VALUES ('CAM', 1, 2, 254337);
INSERT INTO overlap_visit_detector_region (instrument, detector, visit, skypix) VALUES ('CAM', 0, 2, 254339);
SELECT setval(pg_get_serial_sequence('collection', 'id'), (SELECT max(id) FROM collection));
SELECT setval(pg_get_serial_sequence('dataset_type', 'id'), (SELECT max(id) FROM dataset_type));
SELECT setval(pg_get_serial_sequence('history', 'position'), (SELECT max(position) FROM history));
