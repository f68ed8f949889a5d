package import Adapters
package import Files
package import VisionTransformers

/// Adds tasks to a bundle without streams, whose backbones stay as they are: heads that were trained over the merge,
/// and adapters with a backbone of their own.
package struct TaskJoiningJob {
    /// What is added.
    package enum Item {
        /// A head over the bundle's first backbone.
        case head(Adapter)
        /// An adapter over the base of the merge.
        case adapter(Adapter, base: Checkpoint)

        /// The adapter, or the head as one.
        var adapter: Adapter {
            switch self {
            case .head(let adapter), .adapter(let adapter, _): adapter
            }
        }
    }

    /// What is said of tasks that were added.
    package struct Result: Sendable {
        /// The heads of the added tasks.
        package let added: [Head]
        /// The heads of all tasks, in the order of the bundle.
        package let heads: [Head]
        /// How many backbones the bundle has now.
        package let backbones: Int
        /// The added tasks that have a fit.
        package let fitted: [String]
        /// How to merge all adapters together instead; nil if no backbone was added, or not all files are there.
        package let remedy: AdapterRemedy?
    }

    private let bundle: EditedBundle
    private let items: [Item]
    private let calibration: CalibrationSettings?
    private let output: String
    private let replaces: Bool

    /// An addition.
    ///
    /// - Parameters:
    ///   - items: in the order of the tasks.
    ///   - calibration: the images that make fits of the tasks; nil for none.
    ///   - output: where the bundle is written, which may be its own place.
    ///   - replaces: whether a bundle that is there already may be replaced.
    package init(
        bundle: EditedBundle, items: [Item], calibration: CalibrationSettings?, output: String, replaces: Bool
    ) {
        (self.bundle, self.items, self.calibration) = (bundle, items, calibration)
        (self.output, self.replaces) = (output, replaces)
    }

    /// Adds the tasks and writes the bundle.
    ///
    /// - Parameters:
    ///   - started: is given what removes the unfinished folder, and returns whether it was unfinished.
    ///   - warn: told what a user should know.
    /// - Throws: `ModelError` and other errors naming what cannot be used. Nothing is left behind.
    package func run(
        started: (@escaping @Sendable () -> Bool) -> Void, warn: @escaping (Warning) -> Void
    ) throws -> Result {
        try bundle.check(adding: items.map(\.adapter.task))
        try BundleWriter.check(output, replaces: replaces)
        var edited = bundle
        let fits = try calibration.map { try AddedFits($0, bundle, items, warn) }
        for item in items {
            let use = fits?.use(of: item)
            switch item {
            case .head(let adapter):
                try edited.add(
                    head: adapter, calibration: use,
                    fit: fits?.fit(of: item, by: bundle.patches, background: bundle.background))
            case .adapter(let adapter, let base):
                try edited.add(adapter, over: base, calibration: use) {
                    try fits?.fit(of: item, by: $0, background: nil)
                }
            }
        }
        let isLarger = edited.backbones > bundle.backbones
        let remedy = isLarger ? try bundle.remedy(mergingAlso: items.map(\.adapter)) : nil
        let heads = try edited.write(to: output, replaces: replaces, started: started)
        return Result(
            added: items.map(\.adapter.head), heads: heads, backbones: edited.backbones,
            fitted: items.filter { fits?.use(of: $0) != nil }.map(\.adapter.task), remedy: remedy)
    }
}

/// The fits of tasks that join a bundle, from their images. Nothing else is made of these images.
private struct AddedFits {
    private let images: [CalibrationImages]
    private let bundle: Checkpoint
    private let passes: PassSettings
    private let warn: (Warning) -> Void
    private let use: CalibrationUse

    init(
        _ settings: CalibrationSettings, _ bundle: EditedBundle, _ items: [TaskJoiningJob.Item],
        _ warn: @escaping (Warning) -> Void
    ) throws {
        // In f32: no single adapters are compared, so nothing tells what bf16 keeps.
        let passes = PassSettings(threads: settings.threads)
        let reader = try CalibrationReader(bundle.patches, passes: passes, views: nil, warn)
        var (images, use) = try reader.images(for: items.map(\.adapter), settings)
        if bundle.background == nil {
            let heads = items.filter { if case .head = $0 { true } else { false } }.map(\.adapter.task)
            let without = use.fitted.filter(heads.contains)
            use.fitted.removeAll(where: without.contains)
            if !without.isEmpty { warn(.withoutOtherFits(without)) }
        }
        (self.images, self.use, self.bundle) = (images, use, bundle.patches)
        (self.passes, self.warn) = (passes, warn)
    }

    /// The use of a task's images, if they make a fit of it.
    func use(of item: TaskJoiningJob.Item) -> CalibrationUse? {
        use.fitted.contains(item.adapter.task) ? use.of(item.adapter.task) : nil
    }

    /// The fit of a task by the backbone that it reads; nil if it gets none.
    func fit(
        of item: TaskJoiningJob.Item, by backbone: any ParameterSource, background: SummaryDistribution?
    ) throws -> GroupFit? {
        guard use(of: item) != nil else { return nil }
        let own = images.filter { $0.task == item.adapter.task }
        return try MergeFits(own, base: bundle, passes: passes, warn)
            .fits(addedTo: backbone, background: background, regrouping: false)
    }
}
