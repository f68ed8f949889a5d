package import Adapters
import Files
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
        /// How to merge all adapters together instead; nil if no backbone was added, or not all files are there.
        package let remedy: AdapterRemedy?
    }

    private let bundle: EditedBundle
    private let items: [Item]
    private let output: String
    private let replaces: Bool

    /// An addition.
    ///
    /// - Parameters:
    ///   - items: in the order of the tasks.
    ///   - output: where the bundle is written, which may be its own place.
    ///   - replaces: whether a bundle that is there already may be replaced.
    package init(bundle: EditedBundle, items: [Item], output: String, replaces: Bool) {
        (self.bundle, self.items, self.output, self.replaces) = (bundle, items, output, replaces)
    }

    /// Adds the tasks and writes the bundle.
    ///
    /// - Parameter started: is given what removes the unfinished folder, and returns whether it was unfinished.
    /// - Throws: `ModelError` and other errors naming what cannot be used. Nothing is left behind.
    package func run(started: (@escaping @Sendable () -> Bool) -> Void) throws -> Result {
        try bundle.check(adding: items.map(\.adapter.task))
        try BundleWriter.check(output, replaces: replaces)
        var edited = bundle
        for item in items {
            switch item {
            case .head(let adapter): try edited.add(head: adapter)
            case .adapter(let adapter, let base): try edited.add(adapter, over: base)
            }
        }
        let isLarger = edited.backbones > bundle.backbones
        let remedy = isLarger ? try bundle.remedy(mergingAlso: items.map(\.adapter)) : nil
        let heads = try edited.write(to: output, replaces: replaces, started: started)
        return Result(
            added: items.map(\.adapter.head), heads: heads, backbones: edited.backbones, remedy: remedy)
    }
}
