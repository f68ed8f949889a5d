import Compute
import Images
import Synchronization
import Tensors

/// A base with one adapter at a time, unmerged: computes the tokens that each block's attention reads. However many
/// adapters there are, the base's weights are in memory once.
final class AdaptedTokens {
    private let plan: TrainingPlan
    private let passes: [TrainingPass]
    private let pool: WorkerPool
    private let adapters: [[String: LowRankChange]]

    /// Plans the passes.
    ///
    /// - Parameter adapters: the changes of linear layers by each adapter, by the canonical names of modules.
    /// - Throws: `ModelError`, `FileError` or `ComputeError`.
    init(
        _ base: some ParameterSource, _ c: BackboneConfiguration, image: ImageSize,
        adapters: [[String: LowRankChange]], engine: KernelEngine, passes settings: PassSettings
    ) throws {
        self.adapters = adapters
        pool = try WorkerPool(workers: settings.threads)
        var ranks: [String: Int] = [:]
        for (name, change) in adapters.joined() where change.rank > 0 {
            ranks[name] = max(ranks[name] ?? 0, change.rank)
        }
        let modules = ranks.sorted { $0.key < $1.key }.map { TrainedModule($0, .lowRank(rank: $1, scale: 1)) }
        let plan = try TrainingPlan(
            base, c, image: image, modules: modules, featureParts: 1, dropout: 0, precision: settings.precision,
            hasGradients: false, engine: engine, pool: pool)
        let layout = GradientLayout(plan.modules)
        self.plan = plan
        passes = try (0..<pool.workers).map { _ in try TrainingPass(plan, layout: layout) }
    }

    /// Computes tokens of images by one of the adapters.
    ///
    /// - Parameters:
    ///   - inputs: (images, patches, channels · height · width).
    ///   - read: receives the tokens of each block but the first, (T, D), on several threads at once.
    /// - Throws: `ComputeError` when a kernel fails.
    func run(
        _ inputs: UnsafePointer<Float>, images: Int, adapter: Int,
        read: (_ image: Int, _ layer: Int, _ tokens: UnsafePointer<Float>) -> Void
    ) throws {
        select(adapter)
        let failure = Mutex<(any Error)?>(nil)
        let width = plan.patches * plan.configuration.patchLength
        pool.forEach(images) { worker, image in
            do {
                try passes[worker].forwardTokens(inputs + image * width) { read(image, $0, $1) }
            } catch { failure.withLock { $0 = error } }
        }
        if let error = failure.withLock(\.self) { throw error }
    }

    /// Sets the modules to those of an adapter; rows and columns beyond its rank are zeros.
    private func select(_ number: Int) {
        for module in plan.modules {
            guard case .lowRank(_, let factors) = module.form else { continue }
            let (a, b, rank) = (factors.a, factors.b, factors.a.shape[0])
            for tensor in [a, b] { tensor.values.base.update(repeating: 0, count: tensor.values.count) }
            let name = String(a.name.dropLast(".lora_A.weight".count))
            if let change = adapters[number][name] {
                a.values.base.update(from: change.down.values, count: change.down.count)
                for row in 0..<b.shape[0] {
                    for column in 0..<change.rank {
                        b.values.base[row * rank + column] = change.up.values[row * change.rank + column]
                    }
                }
            }
            module.refresh()
        }
    }
}
