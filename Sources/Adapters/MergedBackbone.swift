public import Tensors
public import VisionTransformers

/// One adapter and how much of it is wanted in a merge.
public struct WeightedAdapter: Sendable {
    /// The adapter.
    public let adapter: Adapter
    /// Its weight; 1 unless given.
    public let weight: Double

    /// An adapter with its weight.
    public init(_ adapter: Adapter, weight: Double = 1) {
        self.adapter = adapter
        self.weight = weight
    }
}

/// A base with adapters merged into it, parameter by parameter as they are asked for.
public struct MergedBackbone: ParameterSource {
    /// The checkpoint without adapters.
    public let base: Checkpoint
    /// What is merged into it.
    public let adapters: [WeightedAdapter]
    /// How.
    public let method: MergeMethod
    /// The factor on the merged change.
    public let scale: Double

    /// A merge that computes nothing yet.
    ///
    /// - Throws: `ModelError` when two adapters have one name, or a weight is not finite.
    public init(base: Checkpoint, adapters: [WeightedAdapter], method: MergeMethod, scale: Double) throws {
        var names: Set<String> = []
        for item in adapters {
            guard names.insert(item.adapter.task).inserted else {
                throw ModelError(item.adapter.path, "a second adapter named \"\(item.adapter.task)\"")
            }
            guard item.weight.isFinite else {
                throw ModelError(item.adapter.path, "weight of \(item.adapter.task): not a finite number")
            }
        }
        guard scale.isFinite else { throw ModelError(base.folder, "scale: not a finite number") }
        self.base = base
        self.adapters = adapters
        self.method = method
        self.scale = scale
    }

    /// A parameter with the merged change added: sums in double precision, rounded once.
    ///
    /// - Throws: `ModelError` when there is no such parameter, or the merge gives a value that is not finite.
    public func parameter(_ name: String) throws -> Tensor {
        let original = try base.parameter(name)
        guard let change = change(of: name, original) else { return original }
        let values = zip(original.values, change).map { Float(Double($0) + $1) }
        guard values.allSatisfy(\.isFinite) else {
            throw ModelError(base.folder, "\(name): the merge gives values that are not finite numbers")
        }
        return Tensor(shape: original.shape, values: values)
    }

    /// Gives the memory behind the base's parameter back to the system.
    public func release(_ name: String) { base.release(name) }

    /// The merged change of a parameter, row-major, or nil when no adapter changes it.
    ///
    /// - Throws: `ModelError` when there is no such parameter.
    public func delta(_ name: String) throws -> [Double]? { change(of: name, try base.parameter(name)) }

    private func change(of name: String, _ original: Tensor) -> [Double]? {
        let changes = adapters.compactMap { item in
            item.adapter.delta(name, on: original).map { WeightedDelta(weight: item.weight, delta: $0) }
        }
        return changes.isEmpty ? nil : method.merge(changes, scale)
    }
}
