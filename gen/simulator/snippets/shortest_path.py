# task: finds the shortest path between two nodes of a graph
# note: breadth-first search meets the nearest nodes first, so the first path found is the shortest
from collections import deque


def shortest_path(graph: dict[str, list[str]], start: str, goal: str) -> list[str]:
    """The nodes from start to goal, empty when there is no path."""
    queue = deque([[start]])
    seen = {start}
    while queue:
        path = queue.popleft()
        if path[-1] == goal:
            return path
        for node in graph.get(path[-1], []):
            if node not in seen:
                seen.add(node)
                queue.append([*path, node])
    return []
