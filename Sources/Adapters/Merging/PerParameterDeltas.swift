import Compute
import Files
import Synchronization
import Tensors

/// One task's change of one parameter, its weight folded in.
struct WeightedDelta: Sendable {
    /// The task's index among all tasks in the order of their names.
    let index: Int
    /// The task's name.
    let task: String
    /// The task's weight.
    let weight: Double
    /// weight · ΔW_t, or ΔW_t alone with `keepsAll`.
    let delta: WeightDelta
}

/// The parameters of the backbone that matrix rules merge, each with the deltas of the tasks that change it.
///
/// Tasks are in the order of their names, so that the order of the adapters decides nothing; a task of weight 0 takes
/// no part. Vectors, and matrices of a single row or column, have no subspaces to speak of: they are summed by weight.
struct PerParameterDeltas: Sendable {
    /// The parameters by name, sorted.
    let parameters: [(name: String, parts: [WeightedDelta])]
    /// The number of tasks, those of weight 0 included.
    let taskCount: Int
    /// The weighted sums of the other parameters.
    let sums: [String: WeightDelta]

    /// Splits the tasks' deltas into matrices and the rest, which is summed.
    ///
    /// - Parameter keepsAll: whether weights stay apart from deltas, and tasks of weight 0 and matrices of a single row
    ///   or column are kept among the matrices.
    init(_ tasks: [TaskVector], keepsAll: Bool = false) {
        let ordered = tasks.sorted { $0.task < $1.task }
        var parameters: [(name: String, parts: [WeightedDelta])] = []
        var sums = MergeMethod.weightedSum(ordered) { keepsAll ? $0.isVector : !$0.isMatrix }
        for name in Set(ordered.flatMap(\.deltas.keys)).sorted() where sums[name] == nil {
            let parts = ordered.enumerated().compactMap { index, task -> WeightedDelta? in
                guard task.weight != 0 || keepsAll, let delta = task.deltas[name] else { return nil }
                return WeightedDelta(
                    index: index, task: task.task, weight: task.weight,
                    delta: keepsAll ? delta : delta.scaled(by: task.weight))
            }
            if parts.isEmpty {
                sums[name] = ordered.lazy.compactMap { $0.deltas[name] }.first?.scaled(by: 0)
            } else {
                parameters.append((name, parts))
            }
        }
        self.parameters = parameters
        self.sums = sums
        taskCount = tasks.count
    }

    /// Calls `body` with every parameter, on all cores; gives the results in the order of the parameters.
    ///
    /// - Throws: the first parameter's error.
    func map<Result: Sendable>(
        _ body: @Sendable (_ item: Int, _ name: String, _ parts: [WeightedDelta]) throws -> Result
    ) throws -> [Result] {
        let results = Mutex([Int: Swift.Result<Result, any Error>]())
        let pool = try WorkerPool(workers: min(AvailableProcessors.count, parameters.count))
        let counter = LongWork.Counter("merging layers", of: parameters.count)
        BLASThreads.single {
            pool.forEach(parameters.count) { _, item in
                let result = Swift.Result {
                    try counter.check()
                    let result = try body(item, parameters[item].name, parameters[item].parts)
                    try counter.advance()
                    return result
                }
                results.withLock { $0[item] = result }
            }
        }
        let done = results.withLock { $0 }
        return try parameters.indices.compactMap { try done[$0]?.get() }
    }

    /// Merges every matrix by the rule, and adds the sums.
    ///
    /// - Throws: the first parameter's error.
    func merged(
        _ rule: @Sendable (_ name: String, _ parts: [WeightedDelta]) throws -> WeightDelta.Storage
    ) throws -> [String: WeightDelta] {
        let storages = try map { _, name, parts in try rule(name, parts) }
        var merged = sums
        for ((name, parts), storage) in zip(parameters, storages) {
            merged[name] = WeightDelta(shape: parts[0].delta.shape, storage)
        }
        return merged
    }
}
