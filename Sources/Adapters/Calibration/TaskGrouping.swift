import Files
import Tensors

/// Splits tasks into groups such that tasks which disturb each other are apart.
struct TaskGrouping {
    /// What each task loses when it is merged with each other one: `loss[i][j]` is task i's in a pair with j.
    let loss: [[Double]]

    /// Up to this many tasks every partition is looked at: 4140 for eight.
    private static let exhaustive = 8

    /// The partition into at most `count` groups with the least loss, tasks ascending in their groups.
    ///
    /// What a task loses in a group is taken to be the sum of what it loses in pairs with the others.
    func partition(into count: Int) -> [[Int]] {
        loss.count <= Self.exhaustive ? best(into: count) : greedy(into: count)
    }

    private func cost(_ group: [Int]) -> Double {
        group.reduce(0) { sum, task in sum + group.reduce(0) { $0 + ($1 == task ? 0 : loss[task][$1]) } }
    }

    private func best(into count: Int) -> [[Int]] {
        var (least, found) = (Double.infinity, [[Int]]())
        func place(_ task: Int, _ groups: [[Int]], _ cost: Double) {
            guard cost < least else { return }
            guard task < loss.count else {
                (least, found) = (cost, groups)
                return
            }
            for index in groups.indices {
                var next = groups
                let added = next[index].reduce(0) { $0 + loss[task][$1] + loss[$1][task] }
                next[index].append(task)
                place(task + 1, next, cost + added)
            }
            if groups.count < count { place(task + 1, groups + [[task]], cost) }
        }
        place(0, [], 0)
        return found
    }

    private func greedy(into count: Int) -> [[Int]] {
        var groups = loss.indices.map { [$0] }
        while groups.count > count {
            var (least, pair) = (Double.infinity, (0, 1))
            for first in groups.indices {
                for second in groups.indices where second > first {
                    let added = cost(groups[first] + groups[second]) - cost(groups[first]) - cost(groups[second])
                    if added < least { (least, pair) = (added, (first, second)) }
                }
            }
            groups[pair.0] = (groups[pair.0] + groups[pair.1]).sorted()
            groups.remove(at: pair.1)
        }
        return groups
    }
}

/// The fewest groups that keep every task near its single adapter.
package struct GroupingResult: Sendable {
    /// The merges, a group each.
    package let merges: [MergedBackbone]
    /// The aligned heads of each group's tasks.
    package let heads: [[HeadAlignment.Result]]

    /// The largest share of held-out images on which a task's label is not that of its single adapter.
    package var largestDrop: Double { heads.joined().map { 1 - $0.agreement.sameLabel }.max() ?? 0 }
}

/// The scale that a group is merged at.
package enum GroupScale: Sendable, Equatable {
    /// The one that suits the group best.
    case best
    /// One that suits it, found on at most `limit` fitted and held-out images of a task.
    case near(limit: Int)
    /// This one.
    case given(Double)
}

extension MergeTuner {
    /// Finds the fewest groups of tasks with which every task keeps the labels of its single adapter on all but a share
    /// of the held-out images.
    ///
    /// - Parameters:
    ///   - maximumDrop: the share, 0 to 1.
    ///   - limit: how many images of a task are looked at when pairs are compared. All pairs are compared at one scale,
    ///     that of the first.
    ///   - summarized: the tasks whose alignments say what their merge made of all images, for fits.
    ///   - merge: merges some of the adapters, at a scale chosen for them if they are wanted well, else for a look.
    /// - Throws: errors of the merge and of the models.
    package func groups(
        of adapters: [WeightedAdapter], maximumDrop: Double, limit: Int = 200, summarizing summarized: Set<String> = [],
        merge: (_ adapters: [WeightedAdapter], _ scale: GroupScale) throws -> MergedBackbone
    ) throws -> GroupingResult {
        var grouping: TaskGrouping?
        for count in 1...max(adapters.count, 1) {
            try LongWork.report("trying groups", count - 1, of: adapters.count)
            var partition = [Array(adapters.indices)]
            if count > 1 {
                let known = try grouping ?? TaskGrouping(loss: pairLosses(adapters, limit: limit, merge))
                grouping = known
                partition = known.partition(into: count)
            }
            let merges = try partition.map { group in try merge(group.map { adapters[$0] }, .best) }
            let result = GroupingResult(
                merges: merges, heads: try merges.map { try align($0, summarizing: summarized) })
            if result.largestDrop <= maximumDrop || count >= adapters.count { return result }
        }
        return GroupingResult(merges: [], heads: [])
    }

    private func pairLosses(
        _ adapters: [WeightedAdapter], limit: Int, _ merge: ([WeightedAdapter], GroupScale) throws -> MergedBackbone
    ) throws -> [[Double]] {
        var loss = adapters.map { _ in [Double](repeating: 0, count: adapters.count) }
        var scale = GroupScale.near(limit: limit)
        let pairs = adapters.count * (adapters.count - 1) / 2
        var done = 0
        for first in adapters.indices {
            for second in adapters.indices where second > first {
                let (merged, results) = try LongWork.part("comparing pairs", done, of: pairs) {
                    let merged = try merge([adapters[first], adapters[second]], scale)
                    return (merged, try align(merged, limit: limit))
                }
                done += 1
                scale = .given(merged.scale)
                loss[first][second] = results[0].after.divergence
                loss[second][first] = results[1].after.divergence
            }
        }
        return loss
    }
}
