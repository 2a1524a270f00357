-- The MapAble application's tables, as Prisma would make them. Demo and tests only.
-- Names carry no schema on purpose: they land wherever search_path points.
-- The columns that the mapping lists come first in each table; those below "never leaves" are what a real
-- application also holds, and exist so that tests can prove that they stay here.

create type "UserRole" as enum ('PARTICIPANT', 'PROVIDER', 'PLAN_MANAGER', 'NDIA_ADMIN', 'USER');
create type "NDISPlanStatus" as enum ('DRAFT', 'ACTIVE', 'SUSPENDED', 'EXPIRED', 'CANCELLED');
create type "WorkerStatus" as enum (
    'PENDING_ONBOARDING', 'ONBOARDING_IN_PROGRESS', 'VERIFIED', 'SUSPENDED', 'REJECTED'
);
create type "OnboardingStatus" as enum ('NOT_STARTED', 'IN_PROGRESS', 'COMPLETED', 'FAILED');
create type "IncidentType" as enum (
    'SERIOUS_INCIDENT', 'REPORTABLE_INCIDENT', 'NEAR_MISS', 'MINOR_INCIDENT', 'OTHER'
);
create type "IncidentStatus" as enum ('REPORTED', 'UNDER_INVESTIGATION', 'RESOLVED', 'CLOSED', 'NDIS_REPORTED');
create type "ComplaintSource" as enum ('PARTICIPANT', 'FAMILY', 'WORKER', 'ANONYMOUS', 'OTHER');
create type "ComplaintStatus" as enum (
    'RECEIVED', 'ACKNOWLEDGED', 'UNDER_INVESTIGATION', 'RESOLVED', 'CLOSED', 'ESCALATED'
);
create type "RiskLevel" as enum ('LOW', 'MEDIUM', 'HIGH', 'CRITICAL');
create type "RiskStatus" as enum ('IDENTIFIED', 'ASSESSED', 'MITIGATED', 'MONITORED', 'CLOSED');
create type "PaymentTransactionStatus" as enum ('PENDING', 'PROCESSING', 'COMPLETED', 'FAILED', 'REVERSED');

create table "User" (
    "id" text not null,
    "name" text,
    "email" text not null,
    "emailVerified" timestamp(3),
    "image" text,
    "passwordHash" text,
    "role" "UserRole" not null default 'USER',
    "ndisPlanId" text,
    "providerRegistrationId" text,
    "twoFactorEnabled" boolean not null default false,
    "twoFactorSecret" text,
    "twoFactorConfig" jsonb,
    "twoFactorBackupCodes" text[],
    "webauthnChallenge" text,
    "createdAt" timestamp(3) not null default current_timestamp,
    "updatedAt" timestamp(3) not null,
    -- never leaves
    "phone" text,
    "dateOfBirth" timestamp(3),
    "ndisNumber" text,
    "medicareNumber" text,
    "address" text,
    "emergencyContact" jsonb,
    "profilePhoto" bytea,
    "internalNotes" text,
    "lastLoginAt" timestamp(3),
    "loginCount" integer not null default 0,
    constraint "User_pkey" primary key ("id")
);

create table "NDISPlan" (
    "id" text not null,
    "participantId" text not null,
    "planNumber" text not null,
    "status" "NDISPlanStatus" not null default 'DRAFT',
    "startDate" timestamp(3) not null,
    "endDate" timestamp(3) not null,
    "totalBudget" numeric(12,2) not null,
    "remainingBudget" numeric(12,2) not null,
    "planManagerId" text,
    "metadata" jsonb,
    "createdAt" timestamp(3) not null default current_timestamp,
    "updatedAt" timestamp(3) not null,
    -- never leaves
    "bankAccount" text,
    "fundingBreakdown" jsonb,
    "internalNotes" text,
    constraint "NDISPlan_pkey" primary key ("id")
);

create table "Worker" (
    "id" text not null,
    "userId" text not null,
    "role" text,
    "status" "WorkerStatus" not null default 'PENDING_ONBOARDING',
    "onboardingStatus" "OnboardingStatus" not null default 'NOT_STARTED',
    "employerId" text,
    "createdAt" timestamp(3) not null default current_timestamp,
    "updatedAt" timestamp(3) not null,
    -- never leaves
    "taxFileNumber" text,
    "policeCheckReference" text,
    "hourlyRate" numeric(10,2),
    "qualifications" text[],
    "screeningDocument" bytea,
    "internalNotes" text,
    constraint "Worker_pkey" primary key ("id")
);

create table "CarePlan" (
    "id" text not null,
    "participantId" text not null,
    "workerId" text,
    "planName" text not null,
    "goals" jsonb not null,
    "services" jsonb not null,
    "startDate" timestamp(3) not null,
    "reviewDate" timestamp(3) not null,
    "status" text not null,
    "createdAt" timestamp(3) not null default current_timestamp,
    "updatedAt" timestamp(3) not null,
    -- never leaves
    "clinicalNotes" text,
    "medications" jsonb,
    "diagnosisCodes" text[],
    "internalNotes" text,
    constraint "CarePlan_pkey" primary key ("id")
);

create table "Incident" (
    "id" text not null,
    "incidentType" "IncidentType" not null,
    "description" text not null,
    "occurredAt" timestamp(3) not null,
    "reportedAt" timestamp(3) not null default current_timestamp,
    "reportedBy" text not null,
    "participantId" text,
    "workerId" text,
    "location" text,
    "status" "IncidentStatus" not null default 'REPORTED',
    "ndisReported" boolean not null default false,
    "ndisReportNumber" text,
    "ndisReportedAt" timestamp(3),
    "actionsTaken" jsonb,
    "resolution" text,
    "resolvedAt" timestamp(3),
    "resolvedBy" text,
    "createdAt" timestamp(3) not null default current_timestamp,
    "updatedAt" timestamp(3) not null,
    -- never leaves
    "witnessStatement" text,
    "attachments" jsonb,
    "internalNotes" text,
    constraint "Incident_pkey" primary key ("id")
);

create table "Complaint" (
    "id" text not null,
    "complaintNumber" text not null,
    "source" "ComplaintSource" not null,
    "description" text not null,
    "participantId" text,
    "workerId" text,
    "serviceArea" text,
    "status" "ComplaintStatus" not null default 'RECEIVED',
    "receivedAt" timestamp(3) not null default current_timestamp,
    "acknowledgedAt" timestamp(3),
    "acknowledgedBy" text,
    "resolution" text,
    "resolvedAt" timestamp(3),
    "resolvedBy" text,
    "satisfactionRating" integer,
    "createdAt" timestamp(3) not null default current_timestamp,
    "updatedAt" timestamp(3) not null,
    -- never leaves
    "complainantName" text,
    "complainantPhone" text,
    "internalNotes" text,
    constraint "Complaint_pkey" primary key ("id")
);

create table "Risk" (
    "id" text not null,
    "title" text not null,
    "description" text not null,
    "riskLevel" "RiskLevel" not null,
    "status" "RiskStatus" not null default 'IDENTIFIED',
    "category" text not null,
    "identifiedBy" text not null,
    "identifiedAt" timestamp(3) not null default current_timestamp,
    "owner" text,
    "mitigationPlan" text,
    "mitigationDate" timestamp(3),
    "reviewDate" timestamp(3),
    "participantId" text,
    "createdAt" timestamp(3) not null default current_timestamp,
    "updatedAt" timestamp(3) not null,
    -- never leaves
    "restrictedDetails" jsonb,
    "internalNotes" text,
    constraint "Risk_pkey" primary key ("id")
);

-- This model has no "updatedAt".
create table "PaymentTransaction" (
    "id" text not null,
    "planId" text not null,
    "participantId" text not null,
    "providerId" text not null,
    "workerId" text,
    "voucherId" text,
    "serviceCode" text not null,
    "serviceDescription" text,
    "amount" numeric(12,2) not null,
    "status" "PaymentTransactionStatus" not null default 'PENDING',
    "blockchainTxHash" text,
    "validationResult" jsonb,
    "createdAt" timestamp(3) not null default current_timestamp,
    "completedAt" timestamp(3),
    -- never leaves
    "payeeAccount" text,
    "rawResponse" jsonb,
    "internalNotes" text,
    constraint "PaymentTransaction_pkey" primary key ("id")
);

-- Tables that the sync does not know at all.

create table "Account" (
    "id" text not null,
    "userId" text not null,
    "type" text not null,
    "provider" text not null,
    "providerAccountId" text not null,
    "refresh_token" text,
    "access_token" text,
    "expires_at" integer,
    "id_token" text,
    "scope" text,
    constraint "Account_pkey" primary key ("id")
);

create table "Session" (
    "id" text not null,
    "sessionToken" text not null,
    "userId" text not null,
    "expires" timestamp(3) not null,
    "ipAddress" text,
    constraint "Session_pkey" primary key ("id")
);

-- No primary key, as the login library of the application has it: its updates and deletes carry no old key.
create table "VerificationToken" (
    "identifier" text not null,
    "token" text not null,
    "expires" timestamp(3) not null
);

create table "Authenticator" (
    "credentialID" text not null,
    "userId" text not null,
    "credentialPublicKey" bytea not null,
    "counter" integer not null default 0,
    "transports" text[],
    constraint "Authenticator_pkey" primary key ("userId", "credentialID")
);

-- Busy and unmapped: every page view of the application appends a row.
create table "AuditEvent" (
    "id" bigserial not null,
    "userId" text,
    "action" text not null,
    "details" jsonb,
    "ipAddress" text,
    "createdAt" timestamp(3) not null default current_timestamp,
    constraint "AuditEvent_pkey" primary key ("id")
);

create table "_prisma_migrations" (
    "id" varchar(36) not null,
    "checksum" varchar(64) not null,
    "finished_at" timestamptz,
    "migration_name" varchar(255) not null,
    "logs" text,
    "rolled_back_at" timestamptz,
    "started_at" timestamptz not null default now(),
    "applied_steps_count" integer not null default 0,
    constraint "_prisma_migrations_pkey" primary key ("id")
);

create unique index "User_email_key" on "User" ("email");
create unique index "NDISPlan_participantId_key" on "NDISPlan" ("participantId");
create unique index "NDISPlan_planNumber_key" on "NDISPlan" ("planNumber");
create unique index "Worker_userId_key" on "Worker" ("userId");
create unique index "Complaint_complaintNumber_key" on "Complaint" ("complaintNumber");
create unique index "Account_provider_providerAccountId_key" on "Account" ("provider", "providerAccountId");
create unique index "Session_sessionToken_key" on "Session" ("sessionToken");
create unique index "VerificationToken_identifier_token_key" on "VerificationToken" ("identifier", "token");
create unique index "Authenticator_credentialID_key" on "Authenticator" ("credentialID");

-- Prisma indexes a foreign key only where the model asks for it: "planManagerId", "workerId" and "providerId" have
-- none, and the sync has to live with that.
create index "CarePlan_participantId_idx" on "CarePlan" ("participantId");
create index "Incident_participantId_idx" on "Incident" ("participantId");
create index "Complaint_participantId_idx" on "Complaint" ("participantId");
create index "PaymentTransaction_participantId_idx" on "PaymentTransaction" ("participantId");
create index "PaymentTransaction_planId_idx" on "PaymentTransaction" ("planId");
create index "AuditEvent_createdAt_idx" on "AuditEvent" ("createdAt");

alter table "NDISPlan" add constraint "NDISPlan_participantId_fkey"
    foreign key ("participantId") references "User" ("id") on delete cascade on update cascade;
alter table "NDISPlan" add constraint "NDISPlan_planManagerId_fkey"
    foreign key ("planManagerId") references "User" ("id") on delete set null on update cascade;
alter table "Worker" add constraint "Worker_userId_fkey"
    foreign key ("userId") references "User" ("id") on delete restrict on update cascade;
alter table "CarePlan" add constraint "CarePlan_participantId_fkey"
    foreign key ("participantId") references "User" ("id") on delete cascade on update cascade;
alter table "CarePlan" add constraint "CarePlan_workerId_fkey"
    foreign key ("workerId") references "Worker" ("id") on delete set null on update cascade;
alter table "Incident" add constraint "Incident_participantId_fkey"
    foreign key ("participantId") references "User" ("id") on delete set null on update cascade;
alter table "Incident" add constraint "Incident_workerId_fkey"
    foreign key ("workerId") references "Worker" ("id") on delete set null on update cascade;
alter table "Complaint" add constraint "Complaint_participantId_fkey"
    foreign key ("participantId") references "User" ("id") on delete set null on update cascade;
alter table "Risk" add constraint "Risk_participantId_fkey"
    foreign key ("participantId") references "User" ("id") on delete set null on update cascade;
alter table "PaymentTransaction" add constraint "PaymentTransaction_planId_fkey"
    foreign key ("planId") references "NDISPlan" ("id") on delete cascade on update cascade;
alter table "PaymentTransaction" add constraint "PaymentTransaction_participantId_fkey"
    foreign key ("participantId") references "User" ("id") on delete cascade on update cascade;
alter table "PaymentTransaction" add constraint "PaymentTransaction_providerId_fkey"
    foreign key ("providerId") references "User" ("id") on delete cascade on update cascade;
alter table "Account" add constraint "Account_userId_fkey"
    foreign key ("userId") references "User" ("id") on delete cascade on update cascade;
alter table "Session" add constraint "Session_userId_fkey"
    foreign key ("userId") references "User" ("id") on delete cascade on update cascade;
alter table "Authenticator" add constraint "Authenticator_userId_fkey"
    foreign key ("userId") references "User" ("id") on delete cascade on update cascade;
