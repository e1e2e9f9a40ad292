-- Calls that stop or blind a sensor, one row for a caller and region, with the events of the region
-- before and after.
--
-- Score, up to 100:
--   60  a trail stopped or deleted, a detector deleted
--   50  a detector disabled, flow logs, query logs or Config's recorder removed
--   45  findings archived by a filter, members taken from a detector, a trusted address list
--   40  a trail made smaller (one region, no management events)
--   15  any other change of a sensor
--   10  for each further kind of sensor, up to 20
--   15  the region fell silent although it was busy and the account went on being logged
--   15  launches of the same caller around it, or tries
--   10  the same caller did so in three or more regions
--  -15  every call failed
--  -20  restored by the same caller within the time after, and no launch in between
WITH seen AS (
  SELECT
    _source, account_id, region, principal, access_key_id, event_time, event_epoch, event_name,
    source_ip_address, source_is_address, COALESCE(error_kind, 'none') AS failure,
    LOWER(COALESCE(request_parameters, '')) AS request,
    COALESCE(principal, 'an unknown caller') AS who,
    ROW_NUMBER() OVER (PARTITION BY COALESCE(event_id, _source) ORDER BY _source) AS copy
  FROM cloudtrail
  WHERE event_name IN (
      'StopLogging', 'DeleteTrail', 'UpdateTrail', 'PutEventSelectors', 'DeleteEventDataStore',
      'StopEventDataStoreIngestion', 'DeleteDetector', 'UpdateDetector', 'CreateFilter', 'UpdateFilter',
      'DeleteMembers', 'DisassociateMembers', 'StopMonitoringMembers', 'DeletePublishingDestination',
      'DisassociateFromAdministratorAccount', 'DisassociateFromMasterAccount', 'CreateIPSet',
      'DeleteFlowLogs', 'DeleteResolverQueryLogConfig', 'DisassociateResolverQueryLogConfig',
      'StopConfigurationRecorder', 'DeleteConfigurationRecorder', 'DeleteDeliveryChannel',
      'StartLogging', 'CreateTrail', 'CreateDetector', 'CreateFlowLogs',
      'AssociateResolverQueryLogConfig', 'StartConfigurationRecorder',
      'RunInstances', 'RequestSpotInstances', 'RequestSpotFleet', 'CreateFleet',
      'CreateAutoScalingGroup', 'RunTask', 'CreateNotebookInstance', 'CreateTrainingJob')
    -- Web ACLs have address lists too; only GuardDuty's blinds it.
    AND (event_name <> 'CreateIPSet' OR event_source = 'guardduty.amazonaws.com')
    AND (event_name NOT IN ('CreateFilter', 'UpdateFilter') OR event_source = 'guardduty.amazonaws.com')
),
weighed AS (
  SELECT *,
    CASE
      WHEN event_name IN ('StopLogging', 'DeleteTrail', 'DeleteDetector', 'DeleteEventDataStore', 'StopEventDataStoreIngestion') THEN 60
      WHEN event_name = 'UpdateDetector' AND (request LIKE '%"enable":false%' OR request LIKE '%"enable": false%') THEN 50
      WHEN event_name IN ('DeleteFlowLogs', 'DeleteResolverQueryLogConfig', 'DisassociateResolverQueryLogConfig', 'StopConfigurationRecorder', 'DeleteConfigurationRecorder', 'DeleteDeliveryChannel') THEN 50
      WHEN event_name IN ('CreateFilter', 'UpdateFilter') AND request LIKE '%archive%' THEN 45
      WHEN event_name IN ('DeleteMembers', 'DisassociateMembers', 'StopMonitoringMembers', 'DeletePublishingDestination', 'DisassociateFromAdministratorAccount', 'DisassociateFromMasterAccount', 'CreateIPSet') THEN 45
      WHEN event_name = 'UpdateTrail' AND (request LIKE '%"ismultiregiontrail":false%' OR request LIKE '%"ismultiregiontrail": false%' OR request LIKE '%"includeglobalserviceevents":false%' OR request LIKE '%"includeglobalserviceevents": false%') THEN 40
      WHEN event_name = 'PutEventSelectors' AND (request LIKE '%"includemanagementevents":false%' OR request LIKE '%"includemanagementevents": false%' OR request LIKE '%"readwritetype":"readonly"%' OR request LIKE '%"readwritetype": "readonly"%' OR request LIKE '%excludemanagementeventsources":["%') THEN 40
      WHEN event_name IN ('UpdateTrail', 'PutEventSelectors', 'UpdateDetector', 'CreateFilter', 'UpdateFilter') THEN 15
      ELSE 0 END AS weight,
    CASE
      WHEN event_name IN ('StopLogging', 'DeleteTrail', 'UpdateTrail', 'PutEventSelectors', 'DeleteEventDataStore', 'StopEventDataStoreIngestion') THEN 'trail'
      WHEN event_name IN ('DeleteFlowLogs') THEN 'flow'
      WHEN event_name IN ('DeleteResolverQueryLogConfig', 'DisassociateResolverQueryLogConfig') THEN 'dns'
      WHEN event_name IN ('StopConfigurationRecorder', 'DeleteConfigurationRecorder', 'DeleteDeliveryChannel') THEN 'config'
      ELSE 'detector' END AS sensor,
    CASE WHEN event_name IN ('StartLogging', 'CreateTrail', 'CreateDetector', 'CreateFlowLogs', 'AssociateResolverQueryLogConfig', 'StartConfigurationRecorder') THEN 1 ELSE 0 END AS restores,
    CASE WHEN event_name IN ('RunInstances', 'RequestSpotInstances', 'RequestSpotFleet', 'CreateFleet', 'CreateAutoScalingGroup', 'RunTask', 'CreateNotebookInstance', 'CreateTrainingJob') THEN 1 ELSE 0 END AS launches
  FROM seen
  WHERE copy = 1
),
ranked AS (
  SELECT *,
    ROW_NUMBER() OVER (PARTITION BY account_id, region, who ORDER BY weight DESC NULLS LAST, event_epoch, _source) AS place
  FROM weighed
  WHERE weight > 0
),
facts AS (
  SELECT
    account_id, region, who,
    MIN(event_time) AS first_seen,
    MAX(event_time) AS last_seen,
    MIN(event_epoch) AS first_epoch,
    MAX(event_epoch) AS last_epoch,
    MIN(principal) AS principal,
    CASE WHEN MIN(access_key_id) = MAX(access_key_id) THEN MIN(access_key_id) END AS key_id,
    CASE WHEN MIN(CASE WHEN source_is_address = TRUE THEN source_ip_address END)
        = MAX(CASE WHEN source_is_address = TRUE THEN source_ip_address END)
      THEN MIN(CASE WHEN source_is_address = TRUE THEN source_ip_address END) END AS address,
    COUNT(*) AS acts,
    COUNT(DISTINCT sensor) AS kinds,
    MAX(weight) AS weight,
    MIN(CASE WHEN place = 1 THEN event_name END) AS strongest,
    COUNT(CASE WHEN failure <> 'none' THEN 1 END) AS failed
  FROM ranked
  GROUP BY account_id, region, who
),
counted AS (
  SELECT *, COUNT(*) OVER (PARTITION BY account_id, who) AS regions_hit FROM facts
),
-- All events of the account around the acts, each id once by DISTINCT.
traffic AS (
  SELECT
    f.account_id, f.region, f.who,
    COUNT(DISTINCT CASE WHEN COALESCE(c.region, '') = COALESCE(f.region, '') AND c.event_epoch < f.first_epoch
      AND c.event_epoch >= f.first_epoch - $quiet * 60 THEN COALESCE(c.event_id, c._source) END) AS events_before,
    COUNT(DISTINCT CASE WHEN COALESCE(c.region, '') = COALESCE(f.region, '') AND c.event_epoch > f.last_epoch
      THEN COALESCE(c.event_id, c._source) END) AS events_after,
    MAX(CASE WHEN c.event_epoch > f.last_epoch + $quiet * 30 THEN 1 ELSE 0 END) AS goes_on
  FROM facts f
  JOIN cloudtrail c
    ON COALESCE(c.account_id, '') = COALESCE(f.account_id, '')
    AND c.event_epoch BETWEEN f.first_epoch - $quiet * 60 AND f.last_epoch + $quiet * 60
  GROUP BY f.account_id, f.region, f.who
),
around AS (
  SELECT
    f.account_id, f.region, f.who,
    COUNT(CASE WHEN w.launches = 1 THEN 1 END) AS launches_near,
    MAX(CASE WHEN w.restores = 1 AND w.failure = 'none' AND w.event_epoch >= f.last_epoch
      AND COALESCE(w.region, '') = COALESCE(f.region, '') THEN 1 ELSE 0 END) AS restored
  FROM facts f
  JOIN weighed w
    ON COALESCE(w.account_id, '') = COALESCE(f.account_id, '') AND w.who = f.who
    AND w.event_epoch BETWEEN f.first_epoch - $quiet * 60 AND f.last_epoch + $quiet * 60
  GROUP BY f.account_id, f.region, f.who
),
scored AS (
  SELECT c.*, t.events_before, t.events_after, a.launches_near, a.restored,
    CASE WHEN t.events_before >= $min_events AND t.events_after = 0 AND t.goes_on = 1 THEN 1 ELSE 0 END AS silent,
    c.weight
    + CASE WHEN c.kinds >= 3 THEN 20 ELSE 10 * (c.kinds - 1) END
    + CASE WHEN t.events_before >= $min_events AND t.events_after = 0 AND t.goes_on = 1 THEN 15 ELSE 0 END
    + CASE WHEN a.launches_near > 0 THEN 15 ELSE 0 END
    + CASE WHEN c.regions_hit >= 3 THEN 10 ELSE 0 END
    - CASE WHEN c.failed = c.acts THEN 15 ELSE 0 END
    - CASE WHEN a.restored = 1 AND a.launches_near = 0 THEN 20 ELSE 0 END AS points
  FROM counted c
  JOIN traffic t ON COALESCE(t.account_id, '') = COALESCE(c.account_id, '')
    AND COALESCE(t.region, '') = COALESCE(c.region, '') AND t.who = c.who
  JOIN around a ON COALESCE(a.account_id, '') = COALESCE(c.account_id, '')
    AND COALESCE(a.region, '') = COALESCE(c.region, '') AND a.who = c.who
)
SELECT
  CAST(CASE WHEN points > 100 THEN 100 WHEN points < 0 THEN 0 ELSE points END AS DOUBLE) AS score,
  first_seen, last_seen,
  account_id, region, principal, key_id, address,
  who, COALESCE(region, 'an unknown region') AS region_text, strongest, acts, kinds, failed,
  regions_hit, events_before, events_after, silent, restored, launches_near
FROM scored
WHERE points >= $min_score
ORDER BY score DESC, account_id NULLS LAST, region NULLS LAST, principal NULLS LAST,
  key_id NULLS LAST, address NULLS LAST, first_seen
