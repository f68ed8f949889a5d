import Files
import Tensors
import VisionTransformers

/// What a merge did with calibration images, as its recipe tells it.
package struct CalibrationRecord: Sendable {
    /// A task's images.
    package struct Images: Sendable {
        /// The task.
        package let task: String
        /// Where they were, or are now.
        package var folders: [String]
        /// How many could be used.
        package let count: Int
        /// SHA-256 of what preprocessing made of them, in their order.
        package let sha256: String

        /// A task's images.
        package init(task: String, folders: [String], count: Int, sha256: String) {
            (self.task, self.folders, self.count, self.sha256) = (task, folders, count, sha256)
        }
    }

    /// The images of every task.
    package var images: [Images]
    /// Whether heads were aligned.
    package let align: Bool
    /// The rank of the alignment, nil for full.
    package let alignRank: Int?
    /// What chose the scale: "agreement" or, for tasks with classes, "labels"; nil if it was given.
    package let tune: String?
    /// The drop in percent that the groups were found for, if they were.
    package let maxDrop: Double?
    /// The tasks whose heads a recipe says were not aligned, because that made them no better; nil if it is to be
    /// decided.
    package let keptHeads: Set<String>?
    /// How well each task was aligned, in the order of alignment.
    private var alignments: [HeadAlignment.Result] = []

    /// A record without alignments.
    package init(images: [Images], align: Bool, alignRank: Int?, tune: String?, maxDrop: Double?) {
        (self.images, self.align, self.alignRank, self.tune, self.maxDrop) = (images, align, alignRank, tune, maxDrop)
        keptHeads = nil
    }

    /// Adds how well tasks were aligned.
    package mutating func add(_ results: [HeadAlignment.Result]) { alignments += results }

    var json: JSON {
        var object: JSONObject = [
            "images": .array(
                images.map {
                    .object([
                        "task": .string($0.task), "folders": .array($0.folders.map(JSON.string)),
                        "count": .int($0.count), "sha256": .string($0.sha256),
                    ])
                }),
            "align": .bool(align),
        ]
        object["align_rank"] = alignRank.map(JSON.int)
        object["tune"] = tune.map(JSON.string)
        object["max_drop"] = maxDrop.map(JSON.double)
        guard align else { return .object(object) }
        var tasks = JSONObject()
        for result in alignments {
            var task: JSONObject = [
                "images": .int(result.images), "ridge": .double(result.ridge),
                "same_label_before": .double(result.before.sameLabel), "same_label": .double(result.after.sameLabel),
                "divergence": .double(result.after.divergence),
            ]
            if result.isKept { task["aligned"] = .bool(false) }
            tasks[result.head.task] = .object(task)
        }
        object["tasks"] = .object(tasks)
        return .object(object)
    }

    /// Reads the section of a recipe.
    init(_ object: JSONObject, _ reader: RecipeReader) throws {
        let place = "calibration"
        try reader.check(object, has: ["images", "align", "align_rank", "tune", "max_drop", "tasks"], in: place)
        guard let images = object["images"]?.arrayValue?.map(\.objectValue), let align = object["align"]?.boolValue
        else {
            throw ModelError(
                reader.path,
                "\(place): no \"images\" and \"align\"; mergevit before 0.2 did not say enough to merge again")
        }
        self.images = try images.map { item in
            guard let item, let folders = item["folders"]?.arrayValue?.map(\.stringValue),
                let count = item["count"]?.intValue
            else { throw ModelError(reader.path, "\(place): images: expected task, folders, count, sha256") }
            return Images(
                task: try reader.text(item, "task", in: place), folders: folders.compactMap(\.self), count: count,
                sha256: try reader.text(item, "sha256", in: place))
        }
        self.align = align
        alignRank = try object["align_rank"].map { value in
            guard let rank = value.intValue, rank > 0 else {
                throw ModelError(reader.path, "\(place): align_rank: expected a whole number above 0")
            }
            return rank
        }
        tune = object["tune"]?.stringValue
        maxDrop = object["max_drop"]?.doubleValue
        keptHeads = Set(
            try (object["tasks"]?.objectValue?.members ?? []).compactMap { task, value in
                guard let aligned = value.objectValue?["aligned"] else { return nil }
                guard let aligned = aligned.boolValue else {
                    throw ModelError(reader.path, "\(place): tasks: \(task): aligned: expected true or false")
                }
                return aligned ? nil : task
            })
    }
}
