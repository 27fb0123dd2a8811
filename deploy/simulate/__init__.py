"""What an autoscaler makes of a load: the algorithm of the HPA and of KEDA, in front of replicas that queue rows."""
