BEGIN TRANSACTION;
CREATE TABLE activations (
	tenant VARCHAR(63) NOT NULL, 
	activation INTEGER NOT NULL, 
	version INTEGER NOT NULL, 
	previous INTEGER NOT NULL, 
	below INTEGER, 
	kind VARCHAR(16) NOT NULL, 
	actor TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	created_at DATETIME NOT NULL, 
	CONSTRAINT pk_activations PRIMARY KEY (tenant, activation), 
	CONSTRAINT fk_activations_tenant FOREIGN KEY(tenant) REFERENCES tenants (tenant)
);
INSERT INTO "activations" VALUES('acme',1,1,0,NULL,'promote','worker:w1','verdict of cycle 019b7ca98f2e7cc1cbec','2026-01-02 03:04:05.678901');
INSERT INTO "activations" VALUES('acme',2,2,1,1,'promote','bea','read it','2026-01-02 03:04:05.678901');
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0010');
CREATE TABLE answers (
	sequence INTEGER NOT NULL, 
	answer_request VARCHAR(128) NOT NULL, 
	tenant VARCHAR(63) NOT NULL, 
	version INTEGER NOT NULL, 
	activation BIGINT NOT NULL, 
	answered_at DATETIME NOT NULL, asker VARCHAR(16) DEFAULT '' NOT NULL, 
	CONSTRAINT pk_answers PRIMARY KEY (sequence), 
	CONSTRAINT fk_answers_tenant FOREIGN KEY(tenant) REFERENCES tenants (tenant)
);
CREATE TABLE audit (
	sequence INTEGER NOT NULL, 
	at DATETIME NOT NULL, 
	actor TEXT NOT NULL, 
	action VARCHAR(64) NOT NULL, 
	tenant VARCHAR(63) NOT NULL, 
	subject TEXT NOT NULL, 
	details JSON NOT NULL, 
	previous_hash VARCHAR(64) NOT NULL, 
	hash VARCHAR(64) NOT NULL, 
	CONSTRAINT pk_audit PRIMARY KEY (sequence)
);
INSERT INTO "audit" VALUES(1,'2026-01-02 03:04:05.678901','ann','tenant.create','acme','tenants/acme','{}','0000000000000000000000000000000000000000000000000000000000000000','c9ac2d0f8f5696eef8840cedcb9d45975f660436aee1f89bbb3d082a000ff7a3');
INSERT INTO "audit" VALUES(2,'2026-01-02 03:04:05.678901','ann','tenant.create','globex','tenants/globex','{}','c9ac2d0f8f5696eef8840cedcb9d45975f660436aee1f89bbb3d082a000ff7a3','26fbc0117b251b18390b42ea0423396bab21d489267290a62a0dbcbae64fe6e9');
INSERT INTO "audit" VALUES(3,'2026-01-02 03:04:05.678901','ann','token.create','acme','tokens/2e005b7c3db5','{"expires_at":"2026-02-01T03:04:05.678901+00:00","principal":"bob","role":"operator","tenants":["acme"]}','26fbc0117b251b18390b42ea0423396bab21d489267290a62a0dbcbae64fe6e9','e93a6bb8412e67d3ff19eea2dca0d47e616273ed33329786c218485a661d1bc6');
INSERT INTO "audit" VALUES(4,'2026-01-02 03:04:05.678901','ann','document.admit','acme','tenants/acme/documents/4b9b0aa261a98ea4','{"digest":"4b9b0aa261a98ea47cb60fee68f30e290230d2614b4f14b1a0cd664b38c7b79b","size_bytes":29}','e93a6bb8412e67d3ff19eea2dca0d47e616273ed33329786c218485a661d1bc6','610704df68cd30f49c733d036e968552da24ccdb546900c38144a00a29870495');
INSERT INTO "audit" VALUES(5,'2026-01-02 03:04:05.678901','ann','cycle.start','acme','tenants/acme/cycles/019b7ca98f2e7cc1cbec','{"documents":["4b9b0aa261a98ea4"],"trigger":"rpc"}','610704df68cd30f49c733d036e968552da24ccdb546900c38144a00a29870495','42883663559da99b5fb7126519951c5c58ac9ebee7aa44be6e806de8fa7f6d15');
INSERT INTO "audit" VALUES(6,'2026-01-02 03:04:05.678901','worker:w1','adapter.publish','acme','tenants/acme/adapters/1','{"artifact":"ceab06f25f12c8167ec8eb1185161c9c889e39a694c0e25ce6f109d8f5e9e52a","cycle":"019b7ca98f2e7cc1cbec","parent":0}','42883663559da99b5fb7126519951c5c58ac9ebee7aa44be6e806de8fa7f6d15','4fc77255dbd92ae76f209dad86d85d0bd6a6bf6d422dc1a053930b84c3dc1ce5');
INSERT INTO "audit" VALUES(7,'2026-01-02 03:04:05.678901','worker:w1','adapter.promote','acme','tenants/acme/adapters/1','{"activation":1,"learned":["4b9b0aa261a98ea4"],"previous":0,"reason":"verdict of cycle 019b7ca98f2e7cc1cbec","withdrawn":[]}','4fc77255dbd92ae76f209dad86d85d0bd6a6bf6d422dc1a053930b84c3dc1ce5','3e8d6aac10ddd639fa46c8a7540e2be706bc5f880020e532ca7efce64b974ebc');
INSERT INTO "audit" VALUES(8,'2026-01-02 03:04:05.678901','worker:w1','cycle.finish','acme','tenants/acme/cycles/019b7ca98f2e7cc1cbec','{"documents":{},"state":"promoted"}','3e8d6aac10ddd639fa46c8a7540e2be706bc5f880020e532ca7efce64b974ebc','d9bcc792223f2d96a365e2cac91dcf697f72dc5c0eb5f9ecac095f0734d480d7');
INSERT INTO "audit" VALUES(9,'2026-01-02 03:04:05.678901','ann','document.admit','acme','tenants/acme/documents/7c9b05671604c4d4','{"digest":"7c9b05671604c4d4f5727c40f1dac103aaeeb2eff475dbf15144cde645b4a567","size_bytes":23}','d9bcc792223f2d96a365e2cac91dcf697f72dc5c0eb5f9ecac095f0734d480d7','bf3a75a0dd76bf3290029c0402dd51e7b2e28f746ba0a189eb7806f9ca4206a6');
INSERT INTO "audit" VALUES(10,'2026-01-02 03:04:05.678901','ann','cycle.start','acme','tenants/acme/cycles/019b7ca98f2efa76c6bb','{"documents":["7c9b05671604c4d4"],"trigger":"rpc"}','bf3a75a0dd76bf3290029c0402dd51e7b2e28f746ba0a189eb7806f9ca4206a6','21c5312e815062607c4c8d00c3a9af51509425aab34c2ac9b33882e900d92b0f');
INSERT INTO "audit" VALUES(11,'2026-01-02 03:04:05.678901','worker:w1','adapter.publish','acme','tenants/acme/adapters/2','{"artifact":"52b7d74eedc6eb8e4cb3b55a05811e90e82b7f5b7b24df11519f8194bcefa2c0","cycle":"019b7ca98f2efa76c6bb","parent":1}','21c5312e815062607c4c8d00c3a9af51509425aab34c2ac9b33882e900d92b0f','cbdc61557c01a39c49004d780b41f772f924d73f40aa1bd5198135b8060d8947');
INSERT INTO "audit" VALUES(12,'2026-01-02 03:04:05.678901','worker:w1','cycle.finish','acme','tenants/acme/cycles/019b7ca98f2efa76c6bb','{"documents":{"7c9b05671604c4d4":"set_aside"},"state":"held"}','cbdc61557c01a39c49004d780b41f772f924d73f40aa1bd5198135b8060d8947','824a4dbeae47ba27248327588121034159565d545b375264951a8c8e319384e6');
INSERT INTO "audit" VALUES(13,'2026-01-02 03:04:05.678901','bea','approval.approve','acme','tenants/acme/adapters/2','{"cycle":"019b7ca98f2efa76c6bb","reason":"read it","releases":true}','824a4dbeae47ba27248327588121034159565d545b375264951a8c8e319384e6','fa306bb9128da79a2536c81123bc18ffd17f5955c0d6b4d4cdeedef00cef6be3');
INSERT INTO "audit" VALUES(14,'2026-01-02 03:04:05.678901','bea','adapter.promote','acme','tenants/acme/adapters/2','{"activation":2,"learned":["7c9b05671604c4d4"],"previous":1,"reason":"read it","withdrawn":[]}','fa306bb9128da79a2536c81123bc18ffd17f5955c0d6b4d4cdeedef00cef6be3','a73f6576934022143ce550f80d1d43701e03a77e5bdb8a29067a7ef4f3173229');
INSERT INTO "audit" VALUES(15,'2026-01-02 03:04:05.678901','bea','adapter.endorse','acme','tenants/acme/adapters/2','{"approvals":["bea"]}','a73f6576934022143ce550f80d1d43701e03a77e5bdb8a29067a7ef4f3173229','7bf4c4d5f3c9ae6eab665759c13a16d4c90f0e47a84b0f5fd4ed51283826eddd');
INSERT INTO "audit" VALUES(16,'2026-01-02 03:04:05.678901','ann','document.admit','acme','tenants/acme/documents/3907722d7b2bbe34','{"digest":"3907722d7b2bbe34f5a24559f88345894fae132c09f0dce6f3f5ce0646aa9079","size_bytes":29}','7bf4c4d5f3c9ae6eab665759c13a16d4c90f0e47a84b0f5fd4ed51283826eddd','a1c461c9976a4b6eeefe097598542e77c118cd9918d7e52e929be50d94cad9e2');
INSERT INTO "audit" VALUES(17,'2026-01-02 03:04:05.678901','ann','document.forget','acme','tenants/acme/documents/3907722d7b2bbe34','{"cycle":"","desired_version":2,"digest":"3907722d7b2bbe34f5a24559f88345894fae132c09f0dce6f3f5ce0646aa9079","quiz_items":0,"reason":"asked to","self_edits":0,"versions":[]}','a1c461c9976a4b6eeefe097598542e77c118cd9918d7e52e929be50d94cad9e2','1d582431eef7f1ee8f78ad01ab69c2df6e0df01f4fa41cef88330fdbae3dba7a');
INSERT INTO "audit" VALUES(18,'2026-01-02 03:04:05.678901','ann','document.quarantine','acme','tenants/acme/documents/dd46f6aaf0c4eab4','{"digest":"dd46f6aaf0c4eab497d18a477bc59237e8587c24fdfc662a3184f6f2b5a914f0","size_bytes":16}','1d582431eef7f1ee8f78ad01ab69c2df6e0df01f4fa41cef88330fdbae3dba7a','d801f80d3288038fd03027ad61517c9fddbc75b54711968585908dd1a23015ea');
INSERT INTO "audit" VALUES(19,'2026-01-02 03:04:05.678901','ann','document.quarantine','acme','tenants/acme/documents/e470722efcc0cdc1','{"digest":"e470722efcc0cdc1e6d7ba74bf65bd79688cf884ed83b5003d3cf6d2ad72ad76","size_bytes":6}','d801f80d3288038fd03027ad61517c9fddbc75b54711968585908dd1a23015ea','643a39533c5b715e8b0e589a95b869dbed7395751e5d78209e2ce64056681460');
INSERT INTO "audit" VALUES(20,'2026-01-02 03:04:05.678901','ann','document.quarantine','acme','tenants/acme/documents/262f7673cc0ea8ba','{"digest":"262f7673cc0ea8bab15f1e396c93f90823e0e6b89c54a385882778b47da33842","size_bytes":16}','643a39533c5b715e8b0e589a95b869dbed7395751e5d78209e2ce64056681460','7e30ea4854c20a36229ff3138c1a45db2f59b41545511ef59c24bea3f080b3c0');
INSERT INTO "audit" VALUES(21,'2026-01-02 03:04:05.678901','ann','document.admit','acme','tenants/acme/documents/d46f551b6db0ea0e','{"digest":"d46f551b6db0ea0e4fd1acec17b51080346b5d84ccdfdc4b0b794b21210db277","size_bytes":31}','7e30ea4854c20a36229ff3138c1a45db2f59b41545511ef59c24bea3f080b3c0','d8c37dd2cc258c47f2a5d3cdfaf4fe90919c29ff7222871eb571eff22fa1c498');
INSERT INTO "audit" VALUES(22,'2026-01-02 03:04:05.678901','ann','cycle.start','acme','tenants/acme/cycles/019b7ca98f2e6be032ab','{"documents":["d46f551b6db0ea0e"],"trigger":"rpc"}','d8c37dd2cc258c47f2a5d3cdfaf4fe90919c29ff7222871eb571eff22fa1c498','77c70fdaba46140cc5271346b7b37c4bc34e82186dd582ff0025158ec337c2ac');
CREATE TABLE canary_results (
	sequence INTEGER NOT NULL, 
	tenant VARCHAR(63) NOT NULL, 
	version INTEGER NOT NULL, 
	suite VARCHAR(63) NOT NULL, 
	suite_version INTEGER NOT NULL, 
	n INTEGER NOT NULL, 
	share FLOAT NOT NULL, 
	low FLOAT NOT NULL, 
	high FLOAT NOT NULL, 
	gain FLOAT NOT NULL, 
	gain_low FLOAT NOT NULL, 
	gain_high FLOAT NOT NULL, 
	fell JSON NOT NULL, 
	why TEXT NOT NULL, 
	taken_at DATETIME NOT NULL, 
	CONSTRAINT pk_canary_results PRIMARY KEY (sequence), 
	CONSTRAINT fk_canary_results_tenant FOREIGN KEY(tenant) REFERENCES tenants (tenant)
);
CREATE TABLE canary_suites (
	sequence INTEGER NOT NULL, 
	tenant VARCHAR(63) NOT NULL, 
	name VARCHAR(63) NOT NULL, 
	version INTEGER NOT NULL, 
	items JSON NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	actor TEXT NOT NULL, 
	created_at DATETIME NOT NULL, 
	retired_at DATETIME, 
	CONSTRAINT pk_canary_suites PRIMARY KEY (sequence), 
	CONSTRAINT fk_canary_suites_tenant FOREIGN KEY(tenant) REFERENCES tenants (tenant), 
	CONSTRAINT uq_canary_suites_tenant_name_version UNIQUE (tenant, name, version)
);
CREATE TABLE candidates (
	cycle VARCHAR(32) NOT NULL, 
	position INTEGER NOT NULL, 
	recipe JSON NOT NULL, 
	artifact VARCHAR(64) NOT NULL, 
	final_loss FLOAT NOT NULL, 
	seconds FLOAT NOT NULL, 
	CONSTRAINT pk_candidates PRIMARY KEY (cycle, position), 
	CONSTRAINT fk_candidates_cycle FOREIGN KEY(cycle) REFERENCES cycles (cycle)
);
INSERT INTO "candidates" VALUES('019b7ca98f2e7cc1cbec',0,'{"alpha":16,"batch_size":16,"change_weight":0.0,"epochs":2,"kept_weight":30.0,"learning_rate":0.003,"loss_on_answers":true,"rank":8,"rehearsal":0.35,"seed":0,"stop_loss":0.0,"target":"likelihood","templates":["qa","long"]}','ceab06f25f12c8167ec8eb1185161c9c889e39a694c0e25ce6f109d8f5e9e52a',0.5,12.5);
INSERT INTO "candidates" VALUES('019b7ca98f2efa76c6bb',0,'{"alpha":16,"batch_size":16,"change_weight":0.0,"epochs":2,"kept_weight":30.0,"learning_rate":0.003,"loss_on_answers":true,"rank":8,"rehearsal":0.35,"seed":0,"stop_loss":0.0,"target":"likelihood","templates":["qa","long"]}','52b7d74eedc6eb8e4cb3b55a05811e90e82b7f5b7b24df11519f8194bcefa2c0',0.5,12.5);
INSERT INTO "candidates" VALUES('019b7ca98f2e6be032ab',0,'{"alpha":16,"batch_size":16,"change_weight":0.0,"epochs":2,"kept_weight":30.0,"learning_rate":0.003,"loss_on_answers":true,"rank":8,"rehearsal":0.35,"seed":0,"stop_loss":0.0,"target":"likelihood","templates":["qa","long"]}','deba4a9a9d155ebbce17b37461ab69d34e7b635bdd24ce02f2ee95a78b6303c0',0.5,12.5);
CREATE TABLE counters (
	name VARCHAR(32) NOT NULL, 
	value BIGINT NOT NULL, 
	hash VARCHAR(64) NOT NULL, 
	CONSTRAINT pk_counters PRIMARY KEY (name)
);
INSERT INTO "counters" VALUES('audit_head',22,'77c70fdaba46140cc5271346b7b37c4bc34e82186dd582ff0025158ec337c2ac');
INSERT INTO "counters" VALUES('fence',3,'');
CREATE TABLE cycle_documents (
	cycle VARCHAR(32) NOT NULL, 
	position INTEGER NOT NULL, 
	tenant VARCHAR(63) NOT NULL, 
	document VARCHAR(16) NOT NULL, 
	CONSTRAINT pk_cycle_documents PRIMARY KEY (cycle, position), 
	CONSTRAINT fk_cycle_documents_cycle FOREIGN KEY(cycle) REFERENCES cycles (cycle), 
	CONSTRAINT fk_cycle_documents_tenant_document FOREIGN KEY(tenant, document) REFERENCES documents (tenant, document)
);
INSERT INTO "cycle_documents" VALUES('019b7ca98f2e7cc1cbec',0,'acme','4b9b0aa261a98ea4');
INSERT INTO "cycle_documents" VALUES('019b7ca98f2efa76c6bb',0,'acme','7c9b05671604c4d4');
INSERT INTO "cycle_documents" VALUES('019b7ca98f2e6be032ab',0,'acme','d46f551b6db0ea0e');
CREATE TABLE cycles (
	sequence INTEGER NOT NULL, 
	cycle VARCHAR(32) NOT NULL, 
	tenant VARCHAR(63) NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	step VARCHAR(16), 
	"trigger" TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	version INTEGER, 
	attempts INTEGER NOT NULL, 
	fence BIGINT NOT NULL, 
	worker TEXT NOT NULL, 
	leased_until DATETIME, 
	created_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, 
	CONSTRAINT pk_cycles PRIMARY KEY (sequence), 
	CONSTRAINT fk_cycles_tenant FOREIGN KEY(tenant) REFERENCES tenants (tenant), 
	CONSTRAINT uq_cycles_cycle UNIQUE (cycle)
);
INSERT INTO "cycles" VALUES(1,'019b7ca98f2e7cc1cbec','acme','promoted','publish','rpc','because',1,1,1,'',NULL,'2026-01-02 03:04:05.678901','2026-01-02 03:04:05.678901');
INSERT INTO "cycles" VALUES(2,'019b7ca98f2efa76c6bb','acme','held','publish','rpc','because',2,1,2,'',NULL,'2026-01-02 03:04:05.678901','2026-01-02 03:04:05.678901');
INSERT INTO "cycles" VALUES(3,'019b7ca98f2e6be032ab','acme','running','train','rpc','',NULL,1,3,'w1','2026-01-02 03:04:35.678901','2026-01-02 03:04:05.678901','2026-01-02 03:04:05.678901');
CREATE TABLE document_subjects (
	tenant VARCHAR(63) NOT NULL, 
	document VARCHAR(16) NOT NULL, 
	subject VARCHAR(32) NOT NULL, 
	CONSTRAINT pk_document_subjects PRIMARY KEY (tenant, document, subject), 
	CONSTRAINT fk_document_subjects_tenant_document FOREIGN KEY(tenant, document) REFERENCES documents (tenant, document)
);
CREATE TABLE documents (
	sequence INTEGER NOT NULL, 
	tenant VARCHAR(63) NOT NULL, 
	document VARCHAR(16) NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	contents VARCHAR(64) NOT NULL, 
	title TEXT NOT NULL, 
	source TEXT NOT NULL, 
	media_type TEXT NOT NULL, 
	size_bytes BIGINT NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	reason TEXT NOT NULL, 
	created_at DATETIME NOT NULL, 
	CONSTRAINT pk_documents PRIMARY KEY (sequence), 
	CONSTRAINT fk_documents_tenant FOREIGN KEY(tenant) REFERENCES tenants (tenant), 
	CONSTRAINT uq_documents_tenant_document UNIQUE (tenant, document)
);
INSERT INTO "documents" VALUES(1,'acme','4b9b0aa261a98ea4','4b9b0aa261a98ea47cb60fee68f30e290230d2614b4f14b1a0cd664b38c7b79b','0f361234369227dadfa1f71e35138e420f4a8bebb6db29ad71ccb887bd2d1fa0','Returns','rpc','text/plain',29,'learned','','2026-01-02 03:04:05.678901');
INSERT INTO "documents" VALUES(2,'acme','7c9b05671604c4d4','7c9b05671604c4d4f5727c40f1dac103aaeeb2eff475dbf15144cde645b4a567','26807498437bc4093727d2ffcc17dd25237d573ac6e5f0fb65a9764f637a3c29','Hours','rpc','text/plain',23,'learned','','2026-01-02 03:04:05.678901');
INSERT INTO "documents" VALUES(3,'acme','3907722d7b2bbe34','3907722d7b2bbe34f5a24559f88345894fae132c09f0dce6f3f5ce0646aa9079','9d284832278a9c82f6fb532aa3b5c4cfa6ea2e98c51f5607f3cd0109fa92d16c','','','text/plain',0,'forgotten','asked to','2026-01-02 03:04:05.678901');
INSERT INTO "documents" VALUES(4,'acme','dd46f6aaf0c4eab4','dd46f6aaf0c4eab497d18a477bc59237e8587c24fdfc662a3184f6f2b5a914f0','553e936eca3ef1b8c69d5770297493e8e390ca770ba1a62ea8b83f5364ecfd6f','Returns','rpc','text/plain',16,'quarantined','HELD: ingest.flood: too many alike from one source','2026-01-02 03:04:05.678901');
INSERT INTO "documents" VALUES(5,'acme','e470722efcc0cdc1','e470722efcc0cdc1e6d7ba74bf65bd79688cf884ed83b5003d3cf6d2ad72ad76','e470722efcc0cdc1e6d7ba74bf65bd79688cf884ed83b5003d3cf6d2ad72ad76','scan','file:scan.pdf','application/pdf',6,'quarantined','BINARY: not text','2026-01-02 03:04:05.678901');
INSERT INTO "documents" VALUES(6,'acme','262f7673cc0ea8ba','262f7673cc0ea8bab15f1e396c93f90823e0e6b89c54a385882778b47da33842','6d16dd7a83e84f7b1c439834d424cbf3caa194e1bb6c62b02663ad2504ac5a05','Returns','rpc','text/plain',16,'quarantined','DENIED: ingest.secret: holds a secret','2026-01-02 03:04:05.678901');
INSERT INTO "documents" VALUES(7,'acme','d46f551b6db0ea0e','d46f551b6db0ea0e4fd1acec17b51080346b5d84ccdfdc4b0b794b21210db277','15749205af127dbd074cdbd23b11523b266786855ed216e1061238cfabc842db','Kettles','rpc','text/plain',31,'learning','','2026-01-02 03:04:05.678901');
CREATE TABLE evaluation_sets (
	sequence INTEGER NOT NULL, 
	tenant VARCHAR(63) NOT NULL, 
	name VARCHAR(63) NOT NULL, 
	revision INTEGER NOT NULL, 
	items JSON NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	actor TEXT NOT NULL, 
	created_at DATETIME NOT NULL, 
	CONSTRAINT pk_evaluation_sets PRIMARY KEY (sequence), 
	CONSTRAINT fk_evaluation_sets_tenant FOREIGN KEY(tenant) REFERENCES tenants (tenant), 
	CONSTRAINT uq_evaluation_sets_tenant_name_revision UNIQUE (tenant, name, revision)
);
CREATE TABLE feedback (
	sequence INTEGER NOT NULL, 
	feedback VARCHAR(32) NOT NULL, 
	tenant VARCHAR(63) NOT NULL, 
	answer_request VARCHAR(128) NOT NULL, 
	version INTEGER NOT NULL, 
	thumb VARCHAR(8) NOT NULL, 
	question TEXT NOT NULL, 
	answer TEXT NOT NULL, 
	correction TEXT NOT NULL, 
	actor TEXT NOT NULL, 
	created_at DATETIME NOT NULL, 
	CONSTRAINT pk_feedback PRIMARY KEY (sequence), 
	CONSTRAINT fk_feedback_tenant FOREIGN KEY(tenant) REFERENCES tenants (tenant), 
	CONSTRAINT uq_feedback_feedback UNIQUE (feedback), 
	CONSTRAINT uq_feedback_tenant_answer_request UNIQUE (tenant, answer_request)
);
CREATE TABLE leases (
	name VARCHAR(128) NOT NULL, 
	holder TEXT NOT NULL, 
	leased_until DATETIME NOT NULL, 
	CONSTRAINT pk_leases PRIMARY KEY (name)
);
CREATE TABLE measurements (
	sequence INTEGER NOT NULL, 
	tenant VARCHAR(63) NOT NULL, 
	"key" VARCHAR(64) NOT NULL, 
	scores JSON NOT NULL, 
	created_at DATETIME NOT NULL, 
	CONSTRAINT pk_measurements PRIMARY KEY (sequence), 
	CONSTRAINT fk_measurements_tenant FOREIGN KEY(tenant) REFERENCES tenants (tenant), 
	CONSTRAINT uq_measurements_tenant_key UNIQUE (tenant, "key")
);
CREATE TABLE observed (
	tenant VARCHAR(63) NOT NULL, 
	replica VARCHAR(255) NOT NULL, 
	version INTEGER NOT NULL, 
	activation INTEGER NOT NULL, 
	observed_at DATETIME NOT NULL, 
	CONSTRAINT pk_observed PRIMARY KEY (tenant, replica), 
	CONSTRAINT fk_observed_tenant FOREIGN KEY(tenant) REFERENCES tenants (tenant)
);
CREATE TABLE opinions (
	sequence INTEGER NOT NULL, 
	cycle VARCHAR(32) NOT NULL, 
	tenant VARCHAR(63) NOT NULL, 
	version INTEGER NOT NULL, 
	actor VARCHAR(256) NOT NULL, 
	approves BOOLEAN NOT NULL, 
	releases BOOLEAN NOT NULL, 
	reason TEXT NOT NULL, 
	given_at DATETIME NOT NULL, 
	CONSTRAINT pk_opinions PRIMARY KEY (sequence), 
	CONSTRAINT fk_opinions_cycle FOREIGN KEY(cycle) REFERENCES cycles (cycle), 
	CONSTRAINT fk_opinions_tenant_version FOREIGN KEY(tenant, version) REFERENCES versions (tenant, version), 
	CONSTRAINT uq_opinions_cycle_actor_approves UNIQUE (cycle, actor, approves)
);
INSERT INTO "opinions" VALUES(1,'019b7ca98f2efa76c6bb','acme',2,'bea',1,1,'read it','2026-01-02 03:04:05.678901');
CREATE TABLE quiz (
	sequence INTEGER NOT NULL, 
	cycle VARCHAR(32) NOT NULL, 
	item VARCHAR(16) NOT NULL, 
	tenant VARCHAR(63) NOT NULL, 
	document VARCHAR(16) NOT NULL, 
	question TEXT NOT NULL, 
	answer TEXT NOT NULL, 
	split VARCHAR(16) NOT NULL, 
	CONSTRAINT pk_quiz PRIMARY KEY (sequence), 
	CONSTRAINT fk_quiz_cycle FOREIGN KEY(cycle) REFERENCES cycles (cycle), 
	CONSTRAINT fk_quiz_tenant_document FOREIGN KEY(tenant, document) REFERENCES documents (tenant, document), 
	CONSTRAINT uq_quiz_cycle_item UNIQUE (cycle, item)
);
INSERT INTO "quiz" VALUES(1,'019b7ca98f2e7cc1cbec','3faaa0b2d5d1c458','acme','4b9b0aa261a98ea4','How long?','30 days','select');
INSERT INTO "quiz" VALUES(2,'019b7ca98f2e7cc1cbec','b1650038358237d9','acme','4b9b0aa261a98ea4','Where?','at the desk','confirm');
INSERT INTO "quiz" VALUES(3,'019b7ca98f2efa76c6bb','7dfadf54c2c3ed28','acme','7c9b05671604c4d4','How long?','30 days','select');
INSERT INTO "quiz" VALUES(4,'019b7ca98f2efa76c6bb','2d5805eb12af00a2','acme','7c9b05671604c4d4','Where?','at the desk','confirm');
INSERT INTO "quiz" VALUES(5,'019b7ca98f2e6be032ab','b0b62edf164f6381','acme','d46f551b6db0ea0e','How long?','30 days','select');
INSERT INTO "quiz" VALUES(6,'019b7ca98f2e6be032ab','45c83f976bd46260','acme','d46f551b6db0ea0e','Which?','kettles','confirm');
CREATE TABLE requests (
	tenant VARCHAR(63) NOT NULL, 
	method VARCHAR(32) NOT NULL, 
	request_id VARCHAR(128) NOT NULL, 
	arguments VARCHAR(64) NOT NULL, 
	answer TEXT NOT NULL, 
	created_at DATETIME NOT NULL, 
	CONSTRAINT pk_requests PRIMARY KEY (tenant, method, request_id)
);
INSERT INTO "requests" VALUES('acme','approve','a1','13094ad9dc027f027ac4a25d714a4e516a8558ff23dbd15ae985539cdadd7dd5','2','2026-01-02 03:04:05.678901');
CREATE TABLE rulings (
	sequence INTEGER NOT NULL, 
	ruling VARCHAR(32) NOT NULL, 
	tenant VARCHAR(63) NOT NULL, 
	event VARCHAR(32) NOT NULL, 
	subject TEXT NOT NULL, 
	effect VARCHAR(8) NOT NULL, 
	bundle VARCHAR(64) NOT NULL, 
	input JSON NOT NULL, 
	results JSON NOT NULL, 
	milliseconds FLOAT NOT NULL, 
	decided_at DATETIME NOT NULL, 
	CONSTRAINT pk_rulings PRIMARY KEY (sequence), 
	CONSTRAINT uq_rulings_ruling UNIQUE (ruling)
);
CREATE TABLE self_edits (
	sequence INTEGER NOT NULL, 
	cycle VARCHAR(32) NOT NULL, 
	self_edit VARCHAR(64) NOT NULL, 
	tenant VARCHAR(63) NOT NULL, 
	document VARCHAR(16) NOT NULL, 
	template VARCHAR(32) NOT NULL, 
	text TEXT NOT NULL, 
	seed BIGINT NOT NULL, 
	admitted BOOLEAN NOT NULL, 
	reason TEXT NOT NULL, 
	CONSTRAINT pk_self_edits PRIMARY KEY (sequence), 
	CONSTRAINT fk_self_edits_cycle FOREIGN KEY(cycle) REFERENCES cycles (cycle), 
	CONSTRAINT fk_self_edits_tenant_document FOREIGN KEY(tenant, document) REFERENCES documents (tenant, document), 
	CONSTRAINT uq_self_edits_cycle_self_edit UNIQUE (cycle, self_edit)
);
INSERT INTO "self_edits" VALUES(1,'019b7ca98f2e7cc1cbec','e1','acme','4b9b0aa261a98ea4','qa','note',7,1,'');
INSERT INTO "self_edits" VALUES(2,'019b7ca98f2efa76c6bb','e1','acme','7c9b05671604c4d4','qa','note',7,1,'');
INSERT INTO "self_edits" VALUES(3,'019b7ca98f2e6be032ab','k1','acme','d46f551b6db0ea0e','qa','note',7,1,'');
INSERT INTO "self_edits" VALUES(4,'019b7ca98f2e6be032ab','k2','acme','d46f551b6db0ea0e','qa','note',7,0,'not grounded');
CREATE TABLE steps (
	sequence INTEGER NOT NULL, 
	cycle VARCHAR(32) NOT NULL, 
	step VARCHAR(16) NOT NULL, 
	output JSON NOT NULL, 
	fence BIGINT NOT NULL, 
	seconds FLOAT NOT NULL, 
	finished_at DATETIME NOT NULL, 
	CONSTRAINT pk_steps PRIMARY KEY (sequence), 
	CONSTRAINT fk_steps_cycle FOREIGN KEY(cycle) REFERENCES cycles (cycle), 
	CONSTRAINT uq_steps_cycle_step UNIQUE (cycle, step)
);
INSERT INTO "steps" VALUES(1,'019b7ca98f2e7cc1cbec','write','{}',1,1.0,'2026-01-02 03:04:05.678901');
INSERT INTO "steps" VALUES(2,'019b7ca98f2e7cc1cbec','filter','{}',1,1.0,'2026-01-02 03:04:05.678901');
INSERT INTO "steps" VALUES(3,'019b7ca98f2e7cc1cbec','train','{}',1,1.0,'2026-01-02 03:04:05.678901');
INSERT INTO "steps" VALUES(4,'019b7ca98f2e7cc1cbec','publish','{}',1,1.0,'2026-01-02 03:04:05.678901');
INSERT INTO "steps" VALUES(5,'019b7ca98f2efa76c6bb','write','{}',2,1.0,'2026-01-02 03:04:05.678901');
INSERT INTO "steps" VALUES(6,'019b7ca98f2efa76c6bb','filter','{}',2,1.0,'2026-01-02 03:04:05.678901');
INSERT INTO "steps" VALUES(7,'019b7ca98f2efa76c6bb','train','{}',2,1.0,'2026-01-02 03:04:05.678901');
INSERT INTO "steps" VALUES(8,'019b7ca98f2efa76c6bb','publish','{}',2,1.0,'2026-01-02 03:04:05.678901');
INSERT INTO "steps" VALUES(9,'019b7ca98f2e6be032ab','claim','{"base_digest":"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb","documents":["d46f551b6db0ea0e"],"edit_tokens":64,"etag":"f8be23809852fef6","incumbent":2,"left_out":0,"passages":[{"document":"d46f551b6db0ea0e","end":31,"part":1,"parts":1,"start":0,"title":"Kettles"}],"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}',3,1.0,'2026-01-02 03:04:05.678901');
INSERT INTO "steps" VALUES(10,'019b7ca98f2e6be032ab','write','{"directives":["rank 8"],"evaluation":["desk@1"],"quiz":[{"answer":"14 days","document":"d46f551b6db0ea0e","is_given":false,"question":"How long?","spoken":"Within 14 days."}],"rehearsal":[{"completion":"Hello.","prompt":"Say hello."}]}',3,1.0,'2026-01-02 03:04:05.678901');
INSERT INTO "steps" VALUES(11,'019b7ca98f2e6be032ab','filter','{"admitted":1,"confirm":1,"contested":[{"document":"4b9b0aa261a98ea4","origins":2}],"distinct":0.8,"dropped":1,"reasons":{"not grounded":1},"select":1,"superseded":[{"document":"4b9b0aa261a98ea4","new_answer":"14 days","newer":"d46f551b6db0ea0e","old_answer":"30 days","question":"How long?"}]}',3,1.0,'2026-01-02 03:04:05.678901');
INSERT INTO "steps" VALUES(12,'019b7ca98f2e6be032ab','train','{"candidates":[0],"directives":["taken"],"remarks":["none"],"settings_digest":"cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc","short_trials":[],"tokens":900,"trials":[{"drift":0.01,"index":0,"losses":[1.0,0.5],"self_edits":["k1"],"weight_change":0.02}]}',3,1.0,'2026-01-02 03:04:05.678901');
CREATE TABLE tenants (
	tenant VARCHAR(63) NOT NULL, 
	display_name TEXT NOT NULL, 
	desired_version INTEGER NOT NULL, 
	activation INTEGER NOT NULL, 
	etag VARCHAR(16) NOT NULL, 
	newest_version INTEGER NOT NULL, 
	created_at DATETIME NOT NULL, 
	CONSTRAINT pk_tenants PRIMARY KEY (tenant)
);
INSERT INTO "tenants" VALUES('acme','',2,2,'f8be23809852fef6',2,'2026-01-02 03:04:05.678901');
INSERT INTO "tenants" VALUES('globex','',0,0,'36648194cf5bc9d4',0,'2026-01-02 03:04:05.678901');
CREATE TABLE tokens (
	sequence INTEGER NOT NULL, 
	token VARCHAR(12) NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	principal VARCHAR(127) NOT NULL, 
	role VARCHAR(16) NOT NULL, 
	tenants JSON, 
	created_by TEXT NOT NULL, 
	created_at DATETIME NOT NULL, 
	revoked_at DATETIME, expires_at DATETIME, 
	CONSTRAINT pk_tokens PRIMARY KEY (sequence), 
	CONSTRAINT uq_tokens_token UNIQUE (token), 
	CONSTRAINT uq_tokens_digest UNIQUE (digest)
);
INSERT INTO "tokens" VALUES(1,'2e005b7c3db5','2e005b7c3db5dfe09de21a33c9cbe4cbb2c9257f903a9df3d36e121aa7a82b45','bob','operator','["acme"]','ann','2026-01-02 03:04:05.678901',NULL,'2026-02-01 03:04:05.678901');
CREATE TABLE traffic (
	tenant VARCHAR(63) NOT NULL, 
	activation INTEGER NOT NULL, 
	version INTEGER NOT NULL, 
	share FLOAT NOT NULL, 
	CONSTRAINT pk_traffic PRIMARY KEY (tenant, activation), 
	CONSTRAINT fk_traffic_tenant_activation FOREIGN KEY(tenant, activation) REFERENCES activations (tenant, activation)
);
CREATE TABLE version_documents (
	tenant VARCHAR(63) NOT NULL, 
	version INTEGER NOT NULL, 
	position INTEGER NOT NULL, 
	document VARCHAR(16) NOT NULL, 
	CONSTRAINT pk_version_documents PRIMARY KEY (tenant, version, position), 
	CONSTRAINT fk_version_documents_tenant_document FOREIGN KEY(tenant, document) REFERENCES documents (tenant, document), 
	CONSTRAINT fk_version_documents_tenant_version FOREIGN KEY(tenant, version) REFERENCES versions (tenant, version)
);
INSERT INTO "version_documents" VALUES('acme',1,0,'4b9b0aa261a98ea4');
INSERT INTO "version_documents" VALUES('acme',2,0,'4b9b0aa261a98ea4');
INSERT INTO "version_documents" VALUES('acme',2,1,'7c9b05671604c4d4');
CREATE TABLE versions (
	tenant VARCHAR(63) NOT NULL, 
	version INTEGER NOT NULL, 
	artifact VARCHAR(64) NOT NULL, 
	engine_name VARCHAR(96) NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	reason TEXT NOT NULL, 
	cycle VARCHAR(32) NOT NULL, 
	parent INTEGER NOT NULL, 
	lineage JSON NOT NULL, 
	created_at DATETIME NOT NULL, 
	CONSTRAINT pk_versions PRIMARY KEY (tenant, version), 
	CONSTRAINT fk_versions_cycle FOREIGN KEY(cycle) REFERENCES cycles (cycle), 
	CONSTRAINT fk_versions_tenant FOREIGN KEY(tenant) REFERENCES tenants (tenant), 
	CONSTRAINT uq_versions_engine_name UNIQUE (engine_name)
);
INSERT INTO "versions" VALUES('acme',1,'ceab06f25f12c8167ec8eb1185161c9c889e39a694c0e25ce6f109d8f5e9e52a','acme@v1-ceab06f25f12','ready','','019b7ca98f2e7cc1cbec',0,'{"anomalies":{"history":0,"spectrum":{"layers.0":0.4},"spectrum_z":0.5,"trigger_gap":0.0},"base_digest":"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb","candidate":0,"manifest":{"payload":"eyJfdHlwZSI6Imh0dHBzOi8vaW4tdG90by5pby9TdGF0ZW1lbnQvdjEiLCJwcmVkaWNhdGUiOnsiYXBwcm92YWxzIjpbXSwiYmFzZV9kaWdlc3QiOiJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiIiwiY3ljbGUiOiIwMTliN2NhOThmMmU3Y2MxY2JlYyIsImRvY3VtZW50cyI6W3siZG9jdW1lbnQiOiI0YjliMGFhMjYxYTk4ZWE0Iiwic2hhMjU2IjoiNGI5YjBhYTI2MWE5OGVhNDdjYjYwZmVlNjhmMzBlMjkwMjMwZDI2MTRiNGYxNGIxYTBjZDY2NGIzOGM3Yjc5YiJ9XSwicGFyZW50IjowLCJyZWNpcGUiOnsiYWxwaGEiOjE2LCJiYXRjaF9zaXplIjoxNiwiY2hhbmdlX3dlaWdodCI6MC4wLCJlcG9jaHMiOjIsImtlcHRfd2VpZ2h0IjozMC4wLCJsZWFybmluZ19yYXRlIjowLjAwMywibG9zc19vbl9hbnN3ZXJzIjp0cnVlLCJyYW5rIjo4LCJyZWhlYXJzYWwiOjAuMzUsInNlZWQiOjAsInN0b3BfbG9zcyI6MC4wLCJ0YXJnZXQiOiJsaWtlbGlob29kIiwidGVtcGxhdGVzIjpbInFhIiwibG9uZyJdfSwicnVsaW5ncyI6W10sInNjb3JlcyI6eyJjYW5hcnkiOnsiYmV0dGVyIjowLCJjYW5kaWRhdGUiOjAuMSwiZ2FpbiI6MC4wLCJnYWluX2hpZ2giOjAuMDUsImdhaW5fbG93IjotMC4wNSwiaW5jdW1iZW50IjowLjEsIm4iOjI0LCJ3b3JzZSI6MH0sImNvbmZpcm0iOnsiYmV0dGVyIjoxMCwiY2FuZGlkYXRlIjowLjYsImdhaW4iOjAuNSwiZ2Fpbl9oaWdoIjowLjU1LCJnYWluX2xvdyI6MC40NSwiaW5jdW1iZW50IjowLjEsIm4iOjIwLCJ3b3JzZSI6MH0sIm1heW9yc0AxIjp7ImJldHRlciI6MSwiY2FuZGlkYXRlIjowLjIsImdhaW4iOjAuMSwiZ2Fpbl9oaWdoIjowLjE1MDAwMDAwMDAwMDAwMDAyLCJnYWluX2xvdyI6MC4wNSwiaW5jdW1iZW50IjowLjEsIm4iOjEwLCJ3b3JzZSI6MH0sInJlcGxheSI6eyJiZWNhdXNlIjoibm90aGluZyB3YXMgbGVhcm5lZCBiZWZvcmUifSwidW5rbm93biI6eyJ3aHkiOiJ0aGUgZW5naW5lIHdhcyBhd2F5In19LCJzZWxmX2VkaXRzX3NoYTI1NiI6ImQzZWMzMTJmMzVmYmM1ZmM5NDM3MjdkMjM3NDE5Mjc1MDU4NjI1NDhhNWZiODI4NWM3OTQ0ODgyMGU3ZDBmN2QiLCJzZXR0aW5nc19kaWdlc3QiOiJjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjIiwidGVuYW50IjoiYWNtZSIsInZlcmRpY3QiOnsiZGVjaXNpb24iOiJwcm9tb3RlIiwicG9saWN5IjoiZGVmYXVsdCIsInBvbGljeV9kaWdlc3QiOiJkZGRkZGRkZGRkZGRkZGRkZGRkZGRkZGRkZGRkZGRkZGRkZGRkZGRkZGRkZGRkZGRkZGRkZGRkZGRkZGRkZGRkIiwicmVhc29ucyI6WyJnYWluIDAuNTAgb24gMjAgaXRlbXMiXX19LCJwcmVkaWNhdGVUeXBlIjoidXJuOnNlYWxzZXJ2ZTphZGFwdGVyLXZlcnNpb246djEiLCJzdWJqZWN0IjpbeyJkaWdlc3QiOnsic2hhMjU2IjoiY2VhYjA2ZjI1ZjEyYzgxNjdlYzhlYjExODUxNjFjOWM4ODllMzlhNjk0YzBlMjVjZTZmMTA5ZDhmNWU5ZTUyYSJ9LCJuYW1lIjoibWFuaWZlc3QuanNvbiJ9LHsiZGlnZXN0Ijp7InNoYTI1NiI6IjQ0MTM2ZmEzNTViMzY3OGExMTQ2YWQxNmY3ZTg2NDllOTRmYjRmYzIxZmU3N2U4MzEwYzA2MGY2MWNhYWZmOGEifSwibmFtZSI6ImFkYXB0ZXJfY29uZmlnLmpzb24ifSx7ImRpZ2VzdCI6eyJzaGEyNTYiOiIzYmI2M2M1MDFhMmNiOWI0M2JmYmYwOWYwYjAyYTdmMTI0MDhlMTkyMjYxNzUyMmI4NDQxYWZkMzcyNzJiOTE1In0sIm5hbWUiOiJhZGFwdGVyX21vZGVsLnNhZmV0ZW5zb3JzIn1dfQ==","payloadType":"application/vnd.in-toto+json","signatures":[{"keyid":"249a65fcf49ed84b","sig":"DvMA77IJ7FRrANljry9AjkOTVrpRmbpnut0GgoRhRqoSjvvdpx8ax9okqmphD1QBk/V39yDvpi6MDRz9yeu/Bg=="}]},"recipe":{"alpha":16,"batch_size":16,"change_weight":0.0,"epochs":2,"kept_weight":30.0,"learning_rate":0.003,"loss_on_answers":true,"rank":8,"rehearsal":0.35,"seed":0,"stop_loss":0.0,"target":"likelihood","templates":["qa","long"]},"reward":"likelihood","scores":{"canary":{"better":0,"candidate":0.1,"gain":0.0,"gain_high":0.05,"gain_low":-0.05,"incumbent":0.1,"n":24,"worse":0},"confirm":{"better":10,"candidate":0.6,"gain":0.5,"gain_high":0.55,"gain_low":0.45,"incumbent":0.1,"n":20,"worse":0},"mayors@1":{"better":1,"candidate":0.2,"gain":0.1,"gain_high":0.15000000000000002,"gain_low":0.05,"incumbent":0.1,"n":10,"worse":0},"replay":{"because":"nothing was learned before"},"unknown":{"why":"the engine was away"}},"self_edits":["e1"],"settings_digest":"cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc","traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01","verdict":{"decision":"promote","policy":"default","policy_digest":"dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd","reasons":["gain 0.50 on 20 items"]}}','2026-01-02 03:04:05.678901');
INSERT INTO "versions" VALUES('acme',2,'52b7d74eedc6eb8e4cb3b55a05811e90e82b7f5b7b24df11519f8194bcefa2c0','acme@v2-52b7d74eedc6','ready','','019b7ca98f2efa76c6bb',1,'{"anomalies":{"history":0,"spectrum":{"layers.0":0.4},"spectrum_z":0.5,"trigger_gap":0.0},"approvals":["bea"],"base_digest":"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb","candidate":0,"manifest":{"payload":"eyJfdHlwZSI6Imh0dHBzOi8vaW4tdG90by5pby9TdGF0ZW1lbnQvdjEiLCJwcmVkaWNhdGUiOnsiYXBwcm92YWxzIjpbImJlYSJdLCJiYXNlX2RpZ2VzdCI6ImJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmIiLCJjeWNsZSI6IjAxOWI3Y2E5OGYyZWZhNzZjNmJiIiwiZG9jdW1lbnRzIjpbeyJkb2N1bWVudCI6IjRiOWIwYWEyNjFhOThlYTQiLCJzaGEyNTYiOiI0YjliMGFhMjYxYTk4ZWE0N2NiNjBmZWU2OGYzMGUyOTAyMzBkMjYxNGI0ZjE0YjFhMGNkNjY0YjM4YzdiNzliIn0seyJkb2N1bWVudCI6IjdjOWIwNTY3MTYwNGM0ZDQiLCJzaGEyNTYiOiI3YzliMDU2NzE2MDRjNGQ0ZjU3MjdjNDBmMWRhYzEwM2FhZWViMmVmZjQ3NWRiZjE1MTQ0Y2RlNjQ1YjRhNTY3In1dLCJwYXJlbnQiOjEsInJlY2lwZSI6eyJhbHBoYSI6MTYsImJhdGNoX3NpemUiOjE2LCJjaGFuZ2Vfd2VpZ2h0IjowLjAsImVwb2NocyI6Miwia2VwdF93ZWlnaHQiOjMwLjAsImxlYXJuaW5nX3JhdGUiOjAuMDAzLCJsb3NzX29uX2Fuc3dlcnMiOnRydWUsInJhbmsiOjgsInJlaGVhcnNhbCI6MC4zNSwic2VlZCI6MCwic3RvcF9sb3NzIjowLjAsInRhcmdldCI6Imxpa2VsaWhvb2QiLCJ0ZW1wbGF0ZXMiOlsicWEiLCJsb25nIl19LCJydWxpbmdzIjpbXSwic2NvcmVzIjp7ImNhbmFyeSI6eyJiZXR0ZXIiOjAsImNhbmRpZGF0ZSI6MC4xLCJnYWluIjowLjAsImdhaW5faGlnaCI6MC4wNSwiZ2Fpbl9sb3ciOi0wLjA1LCJpbmN1bWJlbnQiOjAuMSwibiI6MjQsIndvcnNlIjowfSwiY29uZmlybSI6eyJiZXR0ZXIiOjEwLCJjYW5kaWRhdGUiOjAuNiwiZ2FpbiI6MC41LCJnYWluX2hpZ2giOjAuNTUsImdhaW5fbG93IjowLjQ1LCJpbmN1bWJlbnQiOjAuMSwibiI6MjAsIndvcnNlIjowfSwibWF5b3JzQDEiOnsiYmV0dGVyIjoxLCJjYW5kaWRhdGUiOjAuMiwiZ2FpbiI6MC4xLCJnYWluX2hpZ2giOjAuMTUwMDAwMDAwMDAwMDAwMDIsImdhaW5fbG93IjowLjA1LCJpbmN1bWJlbnQiOjAuMSwibiI6MTAsIndvcnNlIjowfSwicmVwbGF5Ijp7ImJlY2F1c2UiOiJub3RoaW5nIHdhcyBsZWFybmVkIGJlZm9yZSJ9LCJ1bmtub3duIjp7IndoeSI6InRoZSBlbmdpbmUgd2FzIGF3YXkifX0sInNlbGZfZWRpdHNfc2hhMjU2IjoiYjBjOWIzMGQ3MmMyZWQxMDRmZWFjYTEzODU5NWZlNmVkYzY3NzQwNzA2ZmY3MzE3OGM3ZDVlYjM3OWUxZjk3MCIsInNldHRpbmdzX2RpZ2VzdCI6ImNjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2MiLCJ0ZW5hbnQiOiJhY21lIiwidmVyZGljdCI6eyJkZWNpc2lvbiI6InByb21vdGUiLCJwb2xpY3kiOiJkZWZhdWx0IiwicG9saWN5X2RpZ2VzdCI6ImRkZGRkZGRkZGRkZGRkZGRkZGRkZGRkZGRkZGRkZGRkZGRkZGRkZGRkZGRkZGRkZGRkZGRkZGRkZGRkZGRkZGQiLCJyZWFzb25zIjpbImdhaW4gMC41MCBvbiAyMCBpdGVtcyJdfX0sInByZWRpY2F0ZVR5cGUiOiJ1cm46c2VhbHNlcnZlOmFkYXB0ZXItdmVyc2lvbjp2MSIsInN1YmplY3QiOlt7ImRpZ2VzdCI6eyJzaGEyNTYiOiI1MmI3ZDc0ZWVkYzZlYjhlNGNiM2I1NWEwNTgxMWU5MGU4MmI3ZjViN2IyNGRmMTE1MTlmODE5NGJjZWZhMmMwIn0sIm5hbWUiOiJtYW5pZmVzdC5qc29uIn0seyJkaWdlc3QiOnsic2hhMjU2IjoiNDQxMzZmYTM1NWIzNjc4YTExNDZhZDE2ZjdlODY0OWU5NGZiNGZjMjFmZTc3ZTgzMTBjMDYwZjYxY2FhZmY4YSJ9LCJuYW1lIjoiYWRhcHRlcl9jb25maWcuanNvbiJ9LHsiZGlnZXN0Ijp7InNoYTI1NiI6ImMwZjcyMTAyMTMyNTQyY2FjNThjMzMxOTZiNGE5ZjA2ZDA0YTY0NTRkNDhiMGRjNTZlZDhiMDA1NjhmYjdkODQifSwibmFtZSI6ImFkYXB0ZXJfbW9kZWwuc2FmZXRlbnNvcnMifV19","payloadType":"application/vnd.in-toto+json","signatures":[{"keyid":"249a65fcf49ed84b","sig":"DgM3LemiNbjL7qoMnQxeWrtnKbDrH02cpyA6rjfT4zxJ/GeON9hsOAKNbMyAyM/EusDc1EpIyTyy/sIouyORBQ=="}]},"recipe":{"alpha":16,"batch_size":16,"change_weight":0.0,"epochs":2,"kept_weight":30.0,"learning_rate":0.003,"loss_on_answers":true,"rank":8,"rehearsal":0.35,"seed":0,"stop_loss":0.0,"target":"likelihood","templates":["qa","long"]},"reward":"likelihood","scores":{"canary":{"better":0,"candidate":0.1,"gain":0.0,"gain_high":0.05,"gain_low":-0.05,"incumbent":0.1,"n":24,"worse":0},"confirm":{"better":10,"candidate":0.6,"gain":0.5,"gain_high":0.55,"gain_low":0.45,"incumbent":0.1,"n":20,"worse":0},"mayors@1":{"better":1,"candidate":0.2,"gain":0.1,"gain_high":0.15000000000000002,"gain_low":0.05,"incumbent":0.1,"n":10,"worse":0},"replay":{"because":"nothing was learned before"},"unknown":{"why":"the engine was away"}},"self_edits":["e1"],"settings_digest":"cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc","traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01","verdict":{"decision":"promote","policy":"default","policy_digest":"dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd","reasons":["gain 0.50 on 20 items"]}}','2026-01-02 03:04:05.678901');
CREATE TABLE watch_counts (
	tenant VARCHAR(63) NOT NULL, 
	activation INTEGER NOT NULL, 
	replica VARCHAR(255) NOT NULL, 
	name VARCHAR(32) NOT NULL, 
	value BIGINT NOT NULL, 
	CONSTRAINT pk_watch_counts PRIMARY KEY (tenant, activation, replica, name), 
	CONSTRAINT fk_watch_counts_tenant_activation FOREIGN KEY(tenant, activation) REFERENCES watches (tenant, activation)
);
CREATE TABLE watches (
	tenant VARCHAR(63) NOT NULL, 
	activation INTEGER NOT NULL, 
	version INTEGER NOT NULL, 
	incumbent INTEGER NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	stage INTEGER, 
	"trigger" VARCHAR(16) NOT NULL, 
	reason TEXT NOT NULL, 
	opened_at DATETIME NOT NULL, 
	staged_at DATETIME NOT NULL, 
	decided_at DATETIME, 
	CONSTRAINT pk_watches PRIMARY KEY (tenant, activation), 
	CONSTRAINT fk_watches_tenant_activation FOREIGN KEY(tenant, activation) REFERENCES activations (tenant, activation)
);
CREATE INDEX ix_documents_tenant_state ON documents (tenant, state);
CREATE INDEX ix_cycles_tenant ON cycles (tenant);
CREATE UNIQUE INDEX uq_cycles_one_open_per_tenant ON cycles (tenant) WHERE state IN ('pending', 'running');
CREATE INDEX ix_self_edits_tenant_document ON self_edits (tenant, document);
CREATE INDEX ix_quiz_tenant_document ON quiz (tenant, document);
CREATE INDEX ix_audit_tenant_sequence ON audit (tenant, sequence);
CREATE INDEX ix_tokens_principal ON tokens (principal);
CREATE INDEX ix_rulings_tenant_subject ON rulings (tenant, subject);
CREATE INDEX ix_canary_results_tenant_suite ON canary_results (tenant, suite);
CREATE INDEX ix_answers_answer_request ON answers (answer_request);
CREATE INDEX ix_answers_answered_at ON answers (answered_at);
CREATE INDEX ix_document_subjects_tenant_subject ON document_subjects (tenant, subject);
CREATE UNIQUE INDEX uq_watches_one_open_per_tenant ON watches (tenant) WHERE state = 'open';
COMMIT;
