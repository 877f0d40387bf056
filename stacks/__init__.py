from stacks.compute import ComputeStack as ComputeStack
from stacks.data import DataStack as DataStack
from stacks.delivery import DeliveryStack as DeliveryStack
from stacks.network import NetworkStack as NetworkStack
from stacks.observability import ObservabilityStack as ObservabilityStack
from stacks.pipeline import PipelineStack as PipelineStack
from stacks.service import ServiceStack as ServiceStack
