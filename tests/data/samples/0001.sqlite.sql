BEGIN TRANSACTION;
CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num));
INSERT INTO "alembic_version" VALUES('0001');
CREATE TABLE artifact (
	id BLOB NOT NULL, 
	uri TEXT NOT NULL, 
	size BIGINT NOT NULL, 
	checksum TEXT NOT NULL, 
	formatter VARCHAR(64) NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(id) REFERENCES dataset (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
INSERT INTO "artifact" VALUES(X'01900000000070008000000000000001','CAM/raw/raw/01900000000070008000000000000001.bin',17,'blake3:137b1cbf9161fdeea949591c42978e07056ba6d23b306a7f62cfb5d83ff43b17','bytes');
INSERT INTO "artifact" VALUES(X'01900000000070008000000000000002','CAM/raw/raw/01900000000070008000000000000002.bin',17,'blake3:466f5b33674cd4cb9629606c59cb7915ac23c7aafd84b84c0171cd77c9f891a3','bytes');
INSERT INTO "artifact" VALUES(X'01900000000070008000000000000003','CAM/raw/raw/01900000000070008000000000000003.bin',17,'blake3:025ba1e0e50f984a30df9bf5647040933211ae8218def1b00eb64addcee75d34','bytes');
INSERT INTO "artifact" VALUES(X'01900000000070008000000000000004','CAM/raw/raw/01900000000070008000000000000004.bin',17,'blake3:666c139023ec3449cccd6467540fc813da03ade168566fc16c2ef5d486f28c05','bytes');
INSERT INTO "artifact" VALUES(X'01900000000070008000000000000005','CAM/calib/bias/01900000000070008000000000000005.bin',15,'blake3:59bb90b6a69e4fc6c26c5ab47562d0408a857f3370b1dd2eb2c1107fcdae28d5','bytes');
INSERT INTO "artifact" VALUES(X'01900000000070008000000000000006','CAM/calib/bias/01900000000070008000000000000006.bin',15,'blake3:daa3b13f39c28858dd9ed6bcf3906efbb2bd1665e1006a616d845df4e568c2db','bytes');
INSERT INTO "artifact" VALUES(X'01900000000070008000000000000007','u/me/1/calexp/01900000000070008000000000000007.bin',20,'blake3:2ef2698ac7a27365b8c294e6d334192028c2d173115ecce5310b94c16e18b6f8','bytes');
INSERT INTO "artifact" VALUES(X'01900000000070008000000000000008','u/me/1/calexp/01900000000070008000000000000008.bin',20,'blake3:74c27b6786a3ba8b3070bfba5feb8558d3adb54dd8baced2b11d8a0523586d62','bytes');
INSERT INTO "artifact" VALUES(X'01900000000070008000000000000009','u/me/1/calexp/01900000000070008000000000000009.bin',20,'blake3:7fecabbeaf5a46178d727699ea7d3c7e43e16b2924bd312c08544903cf210376','bytes');
INSERT INTO "artifact" VALUES(X'0190000000007000800000000000000A','u/me/1/calexp/0190000000007000800000000000000a.bin',20,'blake3:f85911f3d0603bef73698e87aa9ee0115561b01257bba9b23da8dc1f2ef8d6cc','bytes');
INSERT INTO "artifact" VALUES(X'0190000000007000800000000000000B','u/me/1/coadd/0190000000007000800000000000000b.bin',26,'blake3:3f0fe4f53c79b6c648e815a871b5c8b533bf5099d90ce99256cc250adbd8a2c3','bytes');
INSERT INTO "artifact" VALUES(X'0190000000007000800000000000000C','u/me/1/packages/0190000000007000800000000000000c.bin',11,'blake3:4ec55932cba3d9a90a51b7f72fc129eb1419552d004b8eb618b62413e40d458e','bytes');
CREATE TABLE baseline (
	kind VARCHAR(64) NOT NULL, 
	"key" BLOB NOT NULL, 
	digest BLOB NOT NULL, 
	PRIMARY KEY (kind, "key")
)
 WITHOUT ROWID

;
INSERT INTO "baseline" VALUES('dataset',X'6B',X'00000000000000000000000000000000');
CREATE TABLE calibs_instrument_detector (
	collection_id INTEGER NOT NULL, 
	dataset_type_id INTEGER NOT NULL, 
	instrument VARCHAR(32) NOT NULL, 
	detector BIGINT NOT NULL, 
	valid_begin BIGINT NOT NULL, 
	valid_end BIGINT NOT NULL, 
	dataset_id BLOB NOT NULL, 
	PRIMARY KEY (collection_id, dataset_type_id, instrument, detector, valid_begin), 
	FOREIGN KEY(instrument, detector) REFERENCES dim_detector (instrument, detector), 
	FOREIGN KEY(collection_id) REFERENCES collection (id), 
	FOREIGN KEY(dataset_type_id) REFERENCES dataset_type (id), 
	FOREIGN KEY(dataset_id) REFERENCES dataset (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
INSERT INTO "calibs_instrument_detector" VALUES(5,2,'CAM',0,1999900800000000000,2002579200000000000,X'01900000000070008000000000000005');
INSERT INTO "calibs_instrument_detector" VALUES(5,2,'CAM',1,1999900800000000000,2002579200000000000,X'01900000000070008000000000000006');
CREATE TABLE campaign (
	id BLOB NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	doc TEXT NOT NULL, 
	document TEXT NOT NULL, 
	at_ns BIGINT NOT NULL, 
	PRIMARY KEY (id)
)
 WITHOUT ROWID

;
INSERT INTO "campaign" VALUES(X'01900000000070008000000000000012','trial','a trial','{}',1999987200000000000);
CREATE TABLE collection (
	id INTEGER NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	type SMALLINT NOT NULL, 
	doc TEXT DEFAULT '' NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (name)
);
INSERT INTO "collection" VALUES(1,'CAM/raw',1,'holds CAM/raw');
INSERT INTO "collection" VALUES(2,'CAM/calib',1,'holds CAM/calib');
INSERT INTO "collection" VALUES(3,'u/me/1',1,'holds u/me/1');
INSERT INTO "collection" VALUES(4,'CAM/best',2,'the good ones');
INSERT INTO "collection" VALUES(5,'CAM/certified',4,'');
INSERT INTO "collection" VALUES(6,'CAM/defaults',3,'');
INSERT INTO "collection" VALUES(7,'u/me',3,'');
CREATE TABLE collection_chain (
	parent_id INTEGER NOT NULL, 
	position INTEGER NOT NULL, 
	child_id INTEGER NOT NULL, 
	PRIMARY KEY (parent_id, position), 
	FOREIGN KEY(parent_id) REFERENCES collection (id) ON DELETE CASCADE, 
	FOREIGN KEY(child_id) REFERENCES collection (id)
)
 WITHOUT ROWID

;
INSERT INTO "collection_chain" VALUES(6,0,1);
INSERT INTO "collection_chain" VALUES(7,0,3);
INSERT INTO "collection_chain" VALUES(6,1,5);
INSERT INTO "collection_chain" VALUES(7,1,6);
CREATE TABLE dataset (
	id BLOB NOT NULL, 
	dataset_type_id INTEGER NOT NULL, 
	run_id INTEGER NOT NULL, 
	PRIMARY KEY (id)
)
 WITHOUT ROWID

;
INSERT INTO "dataset" VALUES(X'01900000000070008000000000000001',1,1);
INSERT INTO "dataset" VALUES(X'01900000000070008000000000000002',1,1);
INSERT INTO "dataset" VALUES(X'01900000000070008000000000000003',1,1);
INSERT INTO "dataset" VALUES(X'01900000000070008000000000000004',1,1);
INSERT INTO "dataset" VALUES(X'01900000000070008000000000000005',2,2);
INSERT INTO "dataset" VALUES(X'01900000000070008000000000000006',2,2);
INSERT INTO "dataset" VALUES(X'01900000000070008000000000000007',3,3);
INSERT INTO "dataset" VALUES(X'01900000000070008000000000000008',3,3);
INSERT INTO "dataset" VALUES(X'01900000000070008000000000000009',3,3);
INSERT INTO "dataset" VALUES(X'0190000000007000800000000000000A',3,3);
INSERT INTO "dataset" VALUES(X'0190000000007000800000000000000B',4,3);
INSERT INTO "dataset" VALUES(X'0190000000007000800000000000000C',5,3);
CREATE TABLE dataset_type (
	id INTEGER NOT NULL, 
	name VARCHAR(128) NOT NULL, 
	dimensions TEXT NOT NULL, 
	storage_class VARCHAR(64) NOT NULL, 
	is_calibration BOOLEAN NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (name)
);
INSERT INTO "dataset_type" VALUES(1,'raw','instrument,detector,exposure','Bytes',0);
INSERT INTO "dataset_type" VALUES(2,'bias','instrument,detector','Bytes',1);
INSERT INTO "dataset_type" VALUES(3,'calexp','instrument,detector,visit','Bytes',0);
INSERT INTO "dataset_type" VALUES(4,'coadd','skymap,band,tract,patch','Bytes',0);
INSERT INTO "dataset_type" VALUES(5,'packages','','Bytes',0);
CREATE TABLE dim_day_obs (
	instrument VARCHAR(32) NOT NULL, 
	day_obs BIGINT NOT NULL, 
	timespan_begin BIGINT, 
	timespan_end BIGINT, 
	PRIMARY KEY (instrument, day_obs), 
	FOREIGN KEY(instrument) REFERENCES dim_instrument (instrument)
)
 WITHOUT ROWID

;
INSERT INTO "dim_day_obs" VALUES('CAM',20260101,1999987200000000000,2000073600000000000);
CREATE TABLE dim_detector (
	instrument VARCHAR(32) NOT NULL, 
	detector BIGINT NOT NULL, 
	full_name VARCHAR, 
	name_in_raft VARCHAR, 
	raft VARCHAR, 
	purpose VARCHAR, 
	PRIMARY KEY (instrument, detector), 
	UNIQUE (instrument, full_name), 
	FOREIGN KEY(instrument) REFERENCES dim_instrument (instrument)
)
 WITHOUT ROWID

;
INSERT INTO "dim_detector" VALUES('CAM',0,'S0',NULL,NULL,NULL);
INSERT INTO "dim_detector" VALUES('CAM',1,'S1',NULL,NULL,NULL);
CREATE TABLE dim_exposure (
	instrument VARCHAR(32) NOT NULL, 
	exposure BIGINT NOT NULL, 
	day_obs BIGINT, 
	"group" VARCHAR(64), 
	physical_filter VARCHAR(32), 
	obs_id VARCHAR, 
	exposure_time DOUBLE, 
	dark_time DOUBLE, 
	observation_type VARCHAR, 
	observation_reason VARCHAR, 
	seq_num BIGINT, 
	seq_start BIGINT, 
	seq_end BIGINT, 
	target_name VARCHAR, 
	science_program VARCHAR, 
	tracking_ra DOUBLE, 
	tracking_dec DOUBLE, 
	sky_angle DOUBLE, 
	azimuth DOUBLE, 
	zenith_angle DOUBLE, 
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
)
 WITHOUT ROWID

;
INSERT INTO "dim_exposure" VALUES('CAM',1,20260101,'g1','r-1','obs1',30.0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,1999988200000000000,1999988230000000000);
INSERT INTO "dim_exposure" VALUES('CAM',2,20260101,'g2','i-1','obs2',30.0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,1999989200000000000,1999989230000000000);
CREATE TABLE dim_group (
	instrument VARCHAR(32) NOT NULL, 
	"group" VARCHAR(64) NOT NULL, 
	PRIMARY KEY (instrument, "group"), 
	FOREIGN KEY(instrument) REFERENCES dim_instrument (instrument)
)
 WITHOUT ROWID

;
INSERT INTO "dim_group" VALUES('CAM','g1');
INSERT INTO "dim_group" VALUES('CAM','g2');
CREATE TABLE dim_instrument (
	instrument VARCHAR(32) NOT NULL, 
	visit_max BIGINT, 
	visit_system BIGINT, 
	exposure_max BIGINT, 
	detector_max BIGINT, 
	class_name VARCHAR, 
	PRIMARY KEY (instrument)
)
 WITHOUT ROWID

;
INSERT INTO "dim_instrument" VALUES('CAM',1000,NULL,1000,2,'cam.Cam');
CREATE TABLE dim_patch (
	skymap VARCHAR(64) NOT NULL, 
	tract BIGINT NOT NULL, 
	patch BIGINT NOT NULL, 
	cell_x BIGINT NOT NULL, 
	cell_y BIGINT NOT NULL, 
	region BLOB, 
	PRIMARY KEY (skymap, tract, patch), 
	FOREIGN KEY(skymap, tract) REFERENCES dim_tract (skymap, tract)
)
 WITHOUT ROWID

;
INSERT INTO "dim_patch" VALUES('rings',1,0,0,0,X'70EFA92FC7F978EF3F04F0D350ED1AC73F6AFA7A123B7285BF9E25E58D3D58EF3F5137225F8FBCC93F6AFA7A123B7285BF9E25E58D3D58EF3F5137225F8FBCC93F6AFA7A123B72853FEFA92FC7F978EF3F04F0D350ED1AC73F6AFA7A123B72853F');
INSERT INTO "dim_patch" VALUES('rings',1,1,1,0,X'703F854FEFF05DEF3FB8E9A2087B4CC93F6AFA7A123B7285BF4DA7FB91453AEF3F3108EACDB9EBCB3F6AFA7A123B7285BF4DA7FB91453AEF3F3108EACDB9EBCB3F6AFA7A123B72853F3F854FEFF05DEF3FB8E9A2087B4CC93F6AFA7A123B72853F');
CREATE TABLE dim_physical_filter (
	instrument VARCHAR(32) NOT NULL, 
	physical_filter VARCHAR(32) NOT NULL, 
	band VARCHAR(32), 
	PRIMARY KEY (instrument, physical_filter), 
	FOREIGN KEY(instrument) REFERENCES dim_instrument (instrument)
)
 WITHOUT ROWID

;
INSERT INTO "dim_physical_filter" VALUES('CAM','i-1','i');
INSERT INTO "dim_physical_filter" VALUES('CAM','r-1','r');
CREATE TABLE dim_skymap (
	skymap VARCHAR(64) NOT NULL, 
	hash BLOB, 
	tract_max BIGINT, 
	patch_nx_max BIGINT, 
	patch_ny_max BIGINT, 
	PRIMARY KEY (skymap), 
	UNIQUE (hash)
)
 WITHOUT ROWID

;
INSERT INTO "dim_skymap" VALUES('rings',X'0102',9,NULL,NULL);
CREATE TABLE dim_tract (
	skymap VARCHAR(64) NOT NULL, 
	tract BIGINT NOT NULL, 
	region BLOB, 
	PRIMARY KEY (skymap, tract), 
	FOREIGN KEY(skymap) REFERENCES dim_skymap (skymap)
)
 WITHOUT ROWID

;
INSERT INTO "dim_tract" VALUES('rings',1,X'70566D64D0BA8AEF3F742A4341FC1CC53F27DCF7C958DEA1BF08980D4BCD18EF3F43DAEBB6E0DCCD3F27DCF7C958DEA1BF08980D4BCD18EF3F43DAEBB6E0DCCD3F27DCF7C958DEA13F566D64D0BA8AEF3F742A4341FC1CC53F27DCF7C958DEA13F');
CREATE TABLE dim_visit (
	instrument VARCHAR(32) NOT NULL, 
	visit BIGINT NOT NULL, 
	day_obs BIGINT, 
	physical_filter VARCHAR(32), 
	name VARCHAR, 
	seq_num BIGINT, 
	exposure_time DOUBLE, 
	target_name VARCHAR, 
	observation_reason VARCHAR, 
	science_program VARCHAR, 
	azimuth DOUBLE, 
	zenith_angle DOUBLE, 
	region BLOB, 
	timespan_begin BIGINT, 
	timespan_end BIGINT, 
	PRIMARY KEY (instrument, visit), 
	UNIQUE (instrument, name), 
	FOREIGN KEY(instrument) REFERENCES dim_instrument (instrument), 
	FOREIGN KEY(instrument, day_obs) REFERENCES dim_day_obs (instrument, day_obs), 
	FOREIGN KEY(instrument, physical_filter) REFERENCES dim_physical_filter (instrument, physical_filter)
)
 WITHOUT ROWID

;
INSERT INTO "dim_visit" VALUES('CAM',1,20260101,'r-1','v1',NULL,30.0,NULL,NULL,NULL,NULL,NULL,X'70581CE3247471EF3F60FC041BD7C3C73F9D2AB4564E7275BF475C6CCD1561EF3F0A728CDCAC14C93F9D2AB4564E7275BF475C6CCD1561EF3F0A728CDCAC14C93F9D2AB4564E72753F581CE3247471EF3F60FC041BD7C3C73F9D2AB4564E72753F',1999988200000000000,1999988230000000000);
INSERT INTO "dim_visit" VALUES('CAM',2,20260101,'i-1','v2',NULL,30.0,NULL,NULL,NULL,NULL,NULL,X'70C86300EDAE55EF3FA9B450CFD7F4C93F9D2AB4564E7275BFBB523FFED843EF3F303C0AE87B44CB3F9D2AB4564E7275BFBB523FFED843EF3F303C0AE87B44CB3F9D2AB4564E72753FC86300EDAE55EF3FA9B450CFD7F4C93F9D2AB4564E72753F',1999989200000000000,1999989230000000000);
CREATE TABLE dim_visit_definition (
	instrument VARCHAR(32) NOT NULL, 
	exposure BIGINT NOT NULL, 
	visit BIGINT NOT NULL, 
	PRIMARY KEY (instrument, exposure, visit), 
	FOREIGN KEY(instrument, exposure) REFERENCES dim_exposure (instrument, exposure), 
	FOREIGN KEY(instrument, visit) REFERENCES dim_visit (instrument, visit)
)
 WITHOUT ROWID

;
INSERT INTO "dim_visit_definition" VALUES('CAM',1,1);
INSERT INTO "dim_visit_definition" VALUES('CAM',2,2);
CREATE TABLE dim_visit_detector_region (
	instrument VARCHAR(32) NOT NULL, 
	detector BIGINT NOT NULL, 
	visit BIGINT NOT NULL, 
	region BLOB, 
	PRIMARY KEY (instrument, detector, visit), 
	FOREIGN KEY(instrument, detector) REFERENCES dim_detector (instrument, detector), 
	FOREIGN KEY(instrument, visit) REFERENCES dim_visit (instrument, visit)
)
 WITHOUT ROWID

;
INSERT INTO "dim_visit_detector_region" VALUES('CAM',0,1,X'7075366D0BD96AEF3FDCE698B45A50C83FCB03D3C670984CBF8DC756A41E68EF3F88933A967E88C83FCB03D3C670984CBF8DC756A41E68EF3F88933A967E88C83FCB03D3C670984C3F75366D0BD96AEF3FDCE698B45A50C83FCB03D3C670984C3F');
INSERT INTO "dim_visit_detector_region" VALUES('CAM',0,2,X'706BABDA22774EEF3F821746E0DF80CA3FCB03D3C670984CBFE84844227E4BEF3F16C934D0D0B8CA3FCB03D3C670984CBFE84844227E4BEF3F16C934D0D0B8CA3FCB03D3C670984C3F6BABDA22774EEF3F821746E0DF80CA3FCB03D3C670984C3F');
INSERT INTO "dim_visit_detector_region" VALUES('CAM',1,1,X'708DC756A41E68EF3F87933A967E88C83FCB03D3C670984CBF27802BF85D65EF3F1E5B0F929DC0C83FCB03D3C670984CBF27802BF85D65EF3F1E5B0F929DC0C83FCB03D3C670984C3F8DC756A41E68EF3F87933A967E88C83FCB03D3C670984C3F');
INSERT INTO "dim_visit_detector_region" VALUES('CAM',1,2,X'70E84844227E4BEF3F15C934D0D0B8CA3FCB03D3C670984CBFE61250E27E48EF3FC4A27A6ABCF0CA3FCB03D3C670984CBFE61250E27E48EF3FC4A27A6ABCF0CA3FCB03D3C670984C3FE84844227E4BEF3F15C934D0D0B8CA3FCB03D3C670984C3F');
CREATE TABLE dim_visit_system (
	instrument VARCHAR(32) NOT NULL, 
	visit_system BIGINT NOT NULL, 
	name VARCHAR, 
	PRIMARY KEY (instrument, visit_system), 
	UNIQUE (instrument, name), 
	FOREIGN KEY(instrument) REFERENCES dim_instrument (instrument)
)
 WITHOUT ROWID

;
INSERT INTO "dim_visit_system" VALUES('CAM',0,'one-to-one');
CREATE TABLE dim_visit_system_membership (
	instrument VARCHAR(32) NOT NULL, 
	visit_system BIGINT NOT NULL, 
	visit BIGINT NOT NULL, 
	PRIMARY KEY (instrument, visit_system, visit), 
	FOREIGN KEY(instrument, visit_system) REFERENCES dim_visit_system (instrument, visit_system), 
	FOREIGN KEY(instrument, visit) REFERENCES dim_visit (instrument, visit)
)
 WITHOUT ROWID

;
INSERT INTO "dim_visit_system_membership" VALUES('CAM',0,1);
INSERT INTO "dim_visit_system_membership" VALUES('CAM',0,2);
CREATE TABLE history (
	position INTEGER NOT NULL, 
	at_ns BIGINT NOT NULL, 
	command TEXT NOT NULL, 
	change TEXT NOT NULL, 
	PRIMARY KEY (position)
);
INSERT INTO "history" VALUES(1,1999987200000000000,'init','{}');
CREATE TABLE journal (
	operation BLOB NOT NULL, 
	item BLOB NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	payload TEXT DEFAULT '{}' NOT NULL, 
	at_ns BIGINT NOT NULL, 
	PRIMARY KEY (operation, item)
)
 WITHOUT ROWID

;
INSERT INTO "journal" VALUES(X'01900000000070008000000000000014',X'78','done','{}',1999987200000000000);
CREATE TABLE overlap_patch (
	skymap VARCHAR(64) NOT NULL, 
	tract BIGINT NOT NULL, 
	patch BIGINT NOT NULL, 
	skypix BIGINT NOT NULL, 
	PRIMARY KEY (skymap, tract, patch, skypix), 
	FOREIGN KEY(skymap, tract, patch) REFERENCES dim_patch (skymap, tract, patch) ON DELETE CASCADE
)
 WITHOUT ROWID

;
INSERT INTO "overlap_patch" VALUES('rings',1,0,131200);
INSERT INTO "overlap_patch" VALUES('rings',1,0,131201);
INSERT INTO "overlap_patch" VALUES('rings',1,0,131203);
INSERT INTO "overlap_patch" VALUES('rings',1,0,131648);
INSERT INTO "overlap_patch" VALUES('rings',1,1,131648);
INSERT INTO "overlap_patch" VALUES('rings',1,1,131650);
INSERT INTO "overlap_patch" VALUES('rings',1,0,131651);
INSERT INTO "overlap_patch" VALUES('rings',1,1,131651);
INSERT INTO "overlap_patch" VALUES('rings',1,1,131661);
INSERT INTO "overlap_patch" VALUES('rings',1,0,131904);
INSERT INTO "overlap_patch" VALUES('rings',1,0,254016);
INSERT INTO "overlap_patch" VALUES('rings',1,0,254018);
INSERT INTO "overlap_patch" VALUES('rings',1,0,254019);
INSERT INTO "overlap_patch" VALUES('rings',1,0,254336);
INSERT INTO "overlap_patch" VALUES('rings',1,1,254336);
INSERT INTO "overlap_patch" VALUES('rings',1,1,254337);
INSERT INTO "overlap_patch" VALUES('rings',1,0,254339);
INSERT INTO "overlap_patch" VALUES('rings',1,1,254339);
INSERT INTO "overlap_patch" VALUES('rings',1,1,254350);
INSERT INTO "overlap_patch" VALUES('rings',1,0,254848);
CREATE TABLE overlap_tract (
	skymap VARCHAR(64) NOT NULL, 
	tract BIGINT NOT NULL, 
	skypix BIGINT NOT NULL, 
	PRIMARY KEY (skymap, tract, skypix), 
	FOREIGN KEY(skymap, tract) REFERENCES dim_tract (skymap, tract) ON DELETE CASCADE
)
 WITHOUT ROWID

;
INSERT INTO "overlap_tract" VALUES('rings',1,131200);
INSERT INTO "overlap_tract" VALUES('rings',1,131201);
INSERT INTO "overlap_tract" VALUES('rings',1,131202);
INSERT INTO "overlap_tract" VALUES('rings',1,131203);
INSERT INTO "overlap_tract" VALUES('rings',1,131206);
INSERT INTO "overlap_tract" VALUES('rings',1,131209);
INSERT INTO "overlap_tract" VALUES('rings',1,131213);
INSERT INTO "overlap_tract" VALUES('rings',1,131214);
INSERT INTO "overlap_tract" VALUES('rings',1,131215);
INSERT INTO "overlap_tract" VALUES('rings',1,131648);
INSERT INTO "overlap_tract" VALUES('rings',1,131649);
INSERT INTO "overlap_tract" VALUES('rings',1,131650);
INSERT INTO "overlap_tract" VALUES('rings',1,131651);
INSERT INTO "overlap_tract" VALUES('rings',1,131653);
INSERT INTO "overlap_tract" VALUES('rings',1,131654);
INSERT INTO "overlap_tract" VALUES('rings',1,131655);
INSERT INTO "overlap_tract" VALUES('rings',1,131656);
INSERT INTO "overlap_tract" VALUES('rings',1,131657);
INSERT INTO "overlap_tract" VALUES('rings',1,131658);
INSERT INTO "overlap_tract" VALUES('rings',1,131659);
INSERT INTO "overlap_tract" VALUES('rings',1,131660);
INSERT INTO "overlap_tract" VALUES('rings',1,131661);
INSERT INTO "overlap_tract" VALUES('rings',1,131662);
INSERT INTO "overlap_tract" VALUES('rings',1,131663);
INSERT INTO "overlap_tract" VALUES('rings',1,131700);
INSERT INTO "overlap_tract" VALUES('rings',1,131701);
INSERT INTO "overlap_tract" VALUES('rings',1,131702);
INSERT INTO "overlap_tract" VALUES('rings',1,131703);
INSERT INTO "overlap_tract" VALUES('rings',1,131706);
INSERT INTO "overlap_tract" VALUES('rings',1,131708);
INSERT INTO "overlap_tract" VALUES('rings',1,131710);
INSERT INTO "overlap_tract" VALUES('rings',1,131711);
INSERT INTO "overlap_tract" VALUES('rings',1,131904);
INSERT INTO "overlap_tract" VALUES('rings',1,131905);
INSERT INTO "overlap_tract" VALUES('rings',1,131906);
INSERT INTO "overlap_tract" VALUES('rings',1,131907);
INSERT INTO "overlap_tract" VALUES('rings',1,131910);
INSERT INTO "overlap_tract" VALUES('rings',1,131913);
INSERT INTO "overlap_tract" VALUES('rings',1,131917);
INSERT INTO "overlap_tract" VALUES('rings',1,131918);
INSERT INTO "overlap_tract" VALUES('rings',1,131919);
INSERT INTO "overlap_tract" VALUES('rings',1,254016);
INSERT INTO "overlap_tract" VALUES('rings',1,254017);
INSERT INTO "overlap_tract" VALUES('rings',1,254018);
INSERT INTO "overlap_tract" VALUES('rings',1,254019);
INSERT INTO "overlap_tract" VALUES('rings',1,254022);
INSERT INTO "overlap_tract" VALUES('rings',1,254025);
INSERT INTO "overlap_tract" VALUES('rings',1,254029);
INSERT INTO "overlap_tract" VALUES('rings',1,254030);
INSERT INTO "overlap_tract" VALUES('rings',1,254031);
INSERT INTO "overlap_tract" VALUES('rings',1,254336);
INSERT INTO "overlap_tract" VALUES('rings',1,254337);
INSERT INTO "overlap_tract" VALUES('rings',1,254338);
INSERT INTO "overlap_tract" VALUES('rings',1,254339);
INSERT INTO "overlap_tract" VALUES('rings',1,254340);
INSERT INTO "overlap_tract" VALUES('rings',1,254341);
INSERT INTO "overlap_tract" VALUES('rings',1,254342);
INSERT INTO "overlap_tract" VALUES('rings',1,254343);
INSERT INTO "overlap_tract" VALUES('rings',1,254345);
INSERT INTO "overlap_tract" VALUES('rings',1,254346);
INSERT INTO "overlap_tract" VALUES('rings',1,254347);
INSERT INTO "overlap_tract" VALUES('rings',1,254348);
INSERT INTO "overlap_tract" VALUES('rings',1,254349);
INSERT INTO "overlap_tract" VALUES('rings',1,254350);
INSERT INTO "overlap_tract" VALUES('rings',1,254351);
INSERT INTO "overlap_tract" VALUES('rings',1,254389);
INSERT INTO "overlap_tract" VALUES('rings',1,254392);
INSERT INTO "overlap_tract" VALUES('rings',1,254393);
INSERT INTO "overlap_tract" VALUES('rings',1,254394);
INSERT INTO "overlap_tract" VALUES('rings',1,254395);
INSERT INTO "overlap_tract" VALUES('rings',1,254396);
INSERT INTO "overlap_tract" VALUES('rings',1,254397);
INSERT INTO "overlap_tract" VALUES('rings',1,254399);
INSERT INTO "overlap_tract" VALUES('rings',1,254848);
INSERT INTO "overlap_tract" VALUES('rings',1,254849);
INSERT INTO "overlap_tract" VALUES('rings',1,254850);
INSERT INTO "overlap_tract" VALUES('rings',1,254851);
INSERT INTO "overlap_tract" VALUES('rings',1,254854);
INSERT INTO "overlap_tract" VALUES('rings',1,254857);
INSERT INTO "overlap_tract" VALUES('rings',1,254861);
INSERT INTO "overlap_tract" VALUES('rings',1,254862);
INSERT INTO "overlap_tract" VALUES('rings',1,254863);
CREATE TABLE overlap_visit (
	instrument VARCHAR(32) NOT NULL, 
	visit BIGINT NOT NULL, 
	skypix BIGINT NOT NULL, 
	PRIMARY KEY (instrument, visit, skypix), 
	FOREIGN KEY(instrument, visit) REFERENCES dim_visit (instrument, visit) ON DELETE CASCADE
)
 WITHOUT ROWID

;
INSERT INTO "overlap_visit" VALUES('CAM',1,131200);
INSERT INTO "overlap_visit" VALUES('CAM',1,131648);
INSERT INTO "overlap_visit" VALUES('CAM',2,131648);
INSERT INTO "overlap_visit" VALUES('CAM',2,131650);
INSERT INTO "overlap_visit" VALUES('CAM',2,131651);
INSERT INTO "overlap_visit" VALUES('CAM',1,131904);
INSERT INTO "overlap_visit" VALUES('CAM',1,254016);
INSERT INTO "overlap_visit" VALUES('CAM',1,254336);
INSERT INTO "overlap_visit" VALUES('CAM',2,254336);
INSERT INTO "overlap_visit" VALUES('CAM',2,254337);
INSERT INTO "overlap_visit" VALUES('CAM',2,254339);
INSERT INTO "overlap_visit" VALUES('CAM',1,254848);
CREATE TABLE overlap_visit_detector_region (
	instrument VARCHAR(32) NOT NULL, 
	detector BIGINT NOT NULL, 
	visit BIGINT NOT NULL, 
	skypix BIGINT NOT NULL, 
	PRIMARY KEY (instrument, detector, visit, skypix), 
	FOREIGN KEY(instrument, detector, visit) REFERENCES dim_visit_detector_region (instrument, detector, visit) ON DELETE CASCADE
)
 WITHOUT ROWID

;
INSERT INTO "overlap_visit_detector_region" VALUES('CAM',0,1,131200);
INSERT INTO "overlap_visit_detector_region" VALUES('CAM',1,1,131200);
INSERT INTO "overlap_visit_detector_region" VALUES('CAM',0,2,131648);
INSERT INTO "overlap_visit_detector_region" VALUES('CAM',0,2,131650);
INSERT INTO "overlap_visit_detector_region" VALUES('CAM',1,2,131650);
INSERT INTO "overlap_visit_detector_region" VALUES('CAM',0,2,131651);
INSERT INTO "overlap_visit_detector_region" VALUES('CAM',0,1,254016);
INSERT INTO "overlap_visit_detector_region" VALUES('CAM',1,1,254016);
INSERT INTO "overlap_visit_detector_region" VALUES('CAM',0,2,254336);
INSERT INTO "overlap_visit_detector_region" VALUES('CAM',0,2,254337);
INSERT INTO "overlap_visit_detector_region" VALUES('CAM',1,2,254337);
INSERT INTO "overlap_visit_detector_region" VALUES('CAM',0,2,254339);
CREATE TABLE push_ledger (
	id BLOB NOT NULL, 
	campaign_id BLOB NOT NULL, 
	campaign VARCHAR(255) NOT NULL, 
	who TEXT NOT NULL, 
	host TEXT NOT NULL, 
	at_ns BIGINT NOT NULL, 
	runs TEXT NOT NULL, 
	summary TEXT NOT NULL, 
	PRIMARY KEY (id)
)
 WITHOUT ROWID

;
INSERT INTO "push_ledger" VALUES(X'01900000000070008000000000000013',X'01900000000070008000000000000012','trial','me','here',1999987200000000000,'["u/me/1"]','{}');
CREATE TABLE quantum (
	id BLOB NOT NULL, 
	attempt SMALLINT NOT NULL, 
	run_id INTEGER NOT NULL, 
	task VARCHAR(128) NOT NULL, 
	data_id TEXT NOT NULL, 
	status VARCHAR(16) NOT NULL, 
	started_ns BIGINT, 
	finished_ns BIGINT, 
	cpu_ns BIGINT, 
	peak_bytes BIGINT, 
	host TEXT, 
	message TEXT, 
	graph_id BLOB, 
	PRIMARY KEY (id, attempt), 
	FOREIGN KEY(run_id) REFERENCES collection (id)
)
 WITHOUT ROWID

;
INSERT INTO "quantum" VALUES(X'0190000000007000800000000000000D',0,3,'calibrate','{"instrument": "CAM", "visit": 1, "detector": 0}','succeeded',10,20,5,1000,'here','',X'01900000000070008000000000000011');
INSERT INTO "quantum" VALUES(X'0190000000007000800000000000000E',0,3,'calibrate','{"instrument": "CAM", "visit": 1, "detector": 1}','succeeded',11,21,5,1000,'here','',X'01900000000070008000000000000011');
INSERT INTO "quantum" VALUES(X'0190000000007000800000000000000F',0,3,'calibrate','{"instrument": "CAM", "visit": 2, "detector": 0}','succeeded',12,22,5,1000,'here','',X'01900000000070008000000000000011');
INSERT INTO "quantum" VALUES(X'01900000000070008000000000000010',0,3,'calibrate','{"instrument": "CAM", "visit": 2, "detector": 1}','succeeded',13,23,5,1000,'here','',X'01900000000070008000000000000011');
CREATE TABLE quantum_input (
	quantum_id BLOB NOT NULL, 
	dataset_id BLOB NOT NULL, 
	connection VARCHAR(64) NOT NULL, 
	was_read BOOLEAN NOT NULL, 
	PRIMARY KEY (quantum_id, dataset_id, connection)
)
 WITHOUT ROWID

;
INSERT INTO "quantum_input" VALUES(X'0190000000007000800000000000000D',X'01900000000070008000000000000001','raw',1);
INSERT INTO "quantum_input" VALUES(X'0190000000007000800000000000000E',X'01900000000070008000000000000002','raw',1);
INSERT INTO "quantum_input" VALUES(X'0190000000007000800000000000000F',X'01900000000070008000000000000003','raw',1);
INSERT INTO "quantum_input" VALUES(X'01900000000070008000000000000010',X'01900000000070008000000000000004','raw',1);
CREATE TABLE quantum_output (
	quantum_id BLOB NOT NULL, 
	dataset_id BLOB NOT NULL, 
	connection VARCHAR(64) NOT NULL, 
	PRIMARY KEY (quantum_id, dataset_id, connection)
)
 WITHOUT ROWID

;
INSERT INTO "quantum_output" VALUES(X'0190000000007000800000000000000D',X'01900000000070008000000000000007','image');
INSERT INTO "quantum_output" VALUES(X'0190000000007000800000000000000E',X'01900000000070008000000000000008','image');
INSERT INTO "quantum_output" VALUES(X'0190000000007000800000000000000F',X'01900000000070008000000000000009','image');
INSERT INTO "quantum_output" VALUES(X'01900000000070008000000000000010',X'0190000000007000800000000000000A','image');
CREATE TABLE repository (
	"key" VARCHAR NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY ("key")
)
 WITHOUT ROWID

;
INSERT INTO "repository" VALUES('created','2026-01-01T00:00:00+00:00');
INSERT INTO "repository" VALUES('datastore','data');
INSERT INTO "repository" VALUES('format','stage-registry');
INSERT INTO "repository" VALUES('repo_id','01900000000070008000000000000000');
INSERT INTO "repository" VALUES('schema_version','0001');
INSERT INTO "repository" VALUES('universe','{"name": "stage/sky", "version": 1, "common_skypix": "htm7", "elements": {"instrument": {"doc": "A camera or other device that makes observations.", "key": {"name": "name", "type": "string", "length": 32}, "metadata": {"visit_max": {"type": "int", "doc": "Upper bound of visit numbers."}, "visit_system": {"type": "int", "doc": "Default visit system."}, "exposure_max": {"type": "int", "doc": "Upper bound of exposure numbers."}, "detector_max": {"type": "int", "doc": "Upper bound of detector numbers."}, "class_name": {"type": "string", "doc": "Name of a class that describes the device."}}}, "skymap": {"doc": "A division of the sky into tracts and patches.", "key": {"name": "name", "type": "string", "length": 64}, "unique": {"hash": {"type": "hash", "doc": "Digest of the parameters of the sky map."}}, "metadata": {"tract_max": {"type": "int", "doc": "Upper bound of tract numbers."}, "patch_nx_max": {"type": "int", "doc": "Number of patches of a tract in x."}, "patch_ny_max": {"type": "int", "doc": "Number of patches of a tract in y."}}}, "band": {"doc": "A part of the spectrum that filters of several instruments share.", "key": {"name": "name", "type": "string", "length": 32}, "view_of": "physical_filter"}, "physical_filter": {"doc": "One filter of one instrument.", "requires": ["instrument"], "implies": ["band"], "key": {"name": "name", "type": "string", "length": 32}}, "detector": {"doc": "One sensor of an instrument.", "requires": ["instrument"], "key": {"name": "id", "type": "int"}, "unique": {"full_name": {"type": "string", "length": 32}}, "metadata": {"name_in_raft": {"type": "string"}, "raft": {"type": "string"}, "purpose": {"type": "string", "doc": "SCIENCE, FOCUS, GUIDE, …"}}}, "day_obs": {"doc": "An observing day as the observatory counts it.", "requires": ["instrument"], "key": {"name": "id", "type": "int"}, "timespan": true}, "group": {"doc": "Exposures taken together.", "requires": ["instrument"], "key": {"name": "name", "type": "string", "length": 64}}, "visit_system": {"doc": "A way of grouping exposures into visits.", "requires": ["instrument"], "key": {"name": "id", "type": "int"}, "unique": {"name": {"type": "string", "length": 32}}}, "exposure": {"doc": "One readout of all detectors.", "requires": ["instrument"], "implies": ["day_obs", "group", "physical_filter"], "key": {"name": "id", "type": "int"}, "unique": {"obs_id": {"type": "string", "length": 64}}, "metadata": {"exposure_time": {"type": "float", "unit": "s"}, "dark_time": {"type": "float", "unit": "s"}, "observation_type": {"type": "string"}, "observation_reason": {"type": "string"}, "seq_num": {"type": "int"}, "seq_start": {"type": "int"}, "seq_end": {"type": "int"}, "target_name": {"type": "string"}, "science_program": {"type": "string"}, "tracking_ra": {"type": "float", "unit": "deg"}, "tracking_dec": {"type": "float", "unit": "deg"}, "sky_angle": {"type": "float", "unit": "deg"}, "azimuth": {"type": "float", "unit": "deg"}, "zenith_angle": {"type": "float", "unit": "deg"}, "has_simulated": {"type": "bool"}, "can_see_sky": {"type": "bool"}}, "timespan": true}, "visit": {"doc": "Exposures that are processed together as one look at the sky.", "requires": ["instrument"], "implies": ["day_obs", "physical_filter"], "key": {"name": "id", "type": "int"}, "unique": {"name": {"type": "string", "length": 64}}, "metadata": {"seq_num": {"type": "int"}, "exposure_time": {"type": "float", "unit": "s"}, "target_name": {"type": "string"}, "observation_reason": {"type": "string"}, "science_program": {"type": "string"}, "azimuth": {"type": "float", "unit": "deg"}, "zenith_angle": {"type": "float", "unit": "deg"}}, "region": true, "timespan": true}, "tract": {"doc": "A large tile of a sky map.", "requires": ["skymap"], "key": {"name": "id", "type": "int"}, "region": true}, "patch": {"doc": "A small tile of a tract.", "requires": ["skymap", "tract"], "key": {"name": "id", "type": "int"}, "metadata": {"cell_x": {"type": "int", "nullable": false}, "cell_y": {"type": "int", "nullable": false}}, "region": true}, "visit_definition": {"doc": "Which exposures make up a visit.", "requires": ["instrument", "exposure", "visit"], "always_join": true}, "visit_system_membership": {"doc": "Which visits belong to a visit system.", "requires": ["instrument", "visit_system", "visit"], "always_join": true}, "visit_detector_region": {"doc": "Where on the sky one detector was during one visit.", "requires": ["instrument", "detector", "visit"], "region": true}}, "skypix": {"htm": {"min_level": 1, "max_level": 24}, "healpix": {"min_level": 0, "max_level": 17}}, "spatial_families": {"observation": ["visit", "visit_detector_region"], "skymap": ["tract", "patch"]}, "temporal_families": {"observation": ["day_obs", "visit", "exposure"]}}');
CREATE TABLE tags_instrument_detector (
	collection_id INTEGER NOT NULL, 
	dataset_type_id INTEGER NOT NULL, 
	instrument VARCHAR(32) NOT NULL, 
	detector BIGINT NOT NULL, 
	dataset_id BLOB NOT NULL, 
	PRIMARY KEY (collection_id, dataset_type_id, instrument, detector), 
	FOREIGN KEY(instrument, detector) REFERENCES dim_detector (instrument, detector), 
	FOREIGN KEY(collection_id) REFERENCES collection (id), 
	FOREIGN KEY(dataset_type_id) REFERENCES dataset_type (id), 
	FOREIGN KEY(dataset_id) REFERENCES dataset (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
INSERT INTO "tags_instrument_detector" VALUES(2,2,'CAM',0,X'01900000000070008000000000000005');
INSERT INTO "tags_instrument_detector" VALUES(2,2,'CAM',1,X'01900000000070008000000000000006');
CREATE TABLE tags_instrument_detector_exposure (
	collection_id INTEGER NOT NULL, 
	dataset_type_id INTEGER NOT NULL, 
	instrument VARCHAR(32) NOT NULL, 
	detector BIGINT NOT NULL, 
	exposure BIGINT NOT NULL, 
	dataset_id BLOB NOT NULL, 
	PRIMARY KEY (collection_id, dataset_type_id, instrument, detector, exposure), 
	FOREIGN KEY(instrument, detector) REFERENCES dim_detector (instrument, detector), 
	FOREIGN KEY(instrument, exposure) REFERENCES dim_exposure (instrument, exposure), 
	FOREIGN KEY(collection_id) REFERENCES collection (id), 
	FOREIGN KEY(dataset_type_id) REFERENCES dataset_type (id), 
	FOREIGN KEY(dataset_id) REFERENCES dataset (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
INSERT INTO "tags_instrument_detector_exposure" VALUES(1,1,'CAM',0,1,X'01900000000070008000000000000001');
INSERT INTO "tags_instrument_detector_exposure" VALUES(1,1,'CAM',1,1,X'01900000000070008000000000000002');
INSERT INTO "tags_instrument_detector_exposure" VALUES(1,1,'CAM',0,2,X'01900000000070008000000000000003');
INSERT INTO "tags_instrument_detector_exposure" VALUES(1,1,'CAM',1,2,X'01900000000070008000000000000004');
CREATE TABLE tags_instrument_detector_visit (
	collection_id INTEGER NOT NULL, 
	dataset_type_id INTEGER NOT NULL, 
	instrument VARCHAR(32) NOT NULL, 
	detector BIGINT NOT NULL, 
	visit BIGINT NOT NULL, 
	dataset_id BLOB NOT NULL, 
	PRIMARY KEY (collection_id, dataset_type_id, instrument, detector, visit), 
	FOREIGN KEY(instrument, detector) REFERENCES dim_detector (instrument, detector), 
	FOREIGN KEY(instrument, visit) REFERENCES dim_visit (instrument, visit), 
	FOREIGN KEY(collection_id) REFERENCES collection (id), 
	FOREIGN KEY(dataset_type_id) REFERENCES dataset_type (id), 
	FOREIGN KEY(dataset_id) REFERENCES dataset (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
INSERT INTO "tags_instrument_detector_visit" VALUES(3,3,'CAM',0,1,X'01900000000070008000000000000007');
INSERT INTO "tags_instrument_detector_visit" VALUES(4,3,'CAM',0,1,X'01900000000070008000000000000007');
INSERT INTO "tags_instrument_detector_visit" VALUES(3,3,'CAM',1,1,X'01900000000070008000000000000008');
INSERT INTO "tags_instrument_detector_visit" VALUES(3,3,'CAM',0,2,X'01900000000070008000000000000009');
INSERT INTO "tags_instrument_detector_visit" VALUES(3,3,'CAM',1,2,X'0190000000007000800000000000000A');
CREATE TABLE tags_none (
	collection_id INTEGER NOT NULL, 
	dataset_type_id INTEGER NOT NULL, 
	dataset_id BLOB NOT NULL, 
	PRIMARY KEY (collection_id, dataset_type_id), 
	FOREIGN KEY(collection_id) REFERENCES collection (id), 
	FOREIGN KEY(dataset_type_id) REFERENCES dataset_type (id), 
	FOREIGN KEY(dataset_id) REFERENCES dataset (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
INSERT INTO "tags_none" VALUES(3,5,X'0190000000007000800000000000000C');
CREATE TABLE tags_skymap_band_tract_patch (
	collection_id INTEGER NOT NULL, 
	dataset_type_id INTEGER NOT NULL, 
	skymap VARCHAR(64) NOT NULL, 
	band VARCHAR(32) NOT NULL, 
	tract BIGINT NOT NULL, 
	patch BIGINT NOT NULL, 
	dataset_id BLOB NOT NULL, 
	PRIMARY KEY (collection_id, dataset_type_id, skymap, band, tract, patch), 
	FOREIGN KEY(skymap, tract, patch) REFERENCES dim_patch (skymap, tract, patch), 
	FOREIGN KEY(collection_id) REFERENCES collection (id), 
	FOREIGN KEY(dataset_type_id) REFERENCES dataset_type (id), 
	FOREIGN KEY(dataset_id) REFERENCES dataset (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
INSERT INTO "tags_skymap_band_tract_patch" VALUES(3,4,'rings','r',1,0,X'0190000000007000800000000000000B');
CREATE INDEX ix_quantum_input_dataset_id ON quantum_input (dataset_id);
CREATE INDEX ix_quantum_output_dataset_id ON quantum_output (dataset_id);
CREATE INDEX ix_collection_chain_child_id ON collection_chain (child_id);
CREATE INDEX ix_quantum_run_id ON quantum (run_id);
CREATE INDEX ix_overlap_tract_skypix ON overlap_tract (skypix);
CREATE INDEX ix_overlap_patch_skypix ON overlap_patch (skypix);
CREATE INDEX ix_overlap_visit_skypix ON overlap_visit (skypix);
CREATE INDEX ix_overlap_visit_detector_region_skypix ON overlap_visit_detector_region (skypix);
CREATE INDEX ix_tags_instrument_detector_exposure_dataset_id ON tags_instrument_detector_exposure (dataset_id);
CREATE INDEX ix_tags_instrument_detector_dataset_id ON tags_instrument_detector (dataset_id);
CREATE INDEX ix_calibs_instrument_detector_dataset_id ON calibs_instrument_detector (dataset_id);
CREATE INDEX ix_tags_instrument_detector_visit_dataset_id ON tags_instrument_detector_visit (dataset_id);
CREATE INDEX ix_tags_skymap_band_tract_patch_dataset_id ON tags_skymap_band_tract_patch (dataset_id);
CREATE INDEX ix_tags_none_dataset_id ON tags_none (dataset_id);
COMMIT;
