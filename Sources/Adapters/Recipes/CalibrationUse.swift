package import Compute
import Files
package import VisionTransformers

/// The use that a merge made of calibration images, as its recipe records it.
package struct CalibrationUse: Sendable, Equatable {
    /// Where a task's images are from.
    package enum Source: Sendable, Hashable {
        /// Folders, or tables that name files.
        case folders([String])
        /// No files: pictures that a generator of this name draws from a seed.
        case drawn(kind: String, count: Int, seed: UInt64)
    }

    /// A task's images.
    package struct Images: Sendable, Equatable {
        /// The task.
        package internal(set) var task: String
        /// Where they are from.
        package internal(set) var source: Source
        /// How many could be used.
        package let count: Int
        /// SHA-256 of their preprocessed pixels, in order.
        package let sha256: String
        /// Which of them are alike: so many images decide which are held out.
        package let groups: ImageGroups

        /// A task's images; without groups no two are alike.
        package init(task: String, source: Source, count: Int, sha256: String, groups: ImageGroups? = nil) {
            (self.task, self.source, self.count, self.sha256) = (task, source, count, sha256)
            self.groups = groups ?? ImageGroups(alone: count)
        }

        /// What a run that is resumed must have in common: the images, and which are held out.
        package var binding: String { groups.rule == .none ? sha256 : ([sha256] + groups.texts).joined(separator: ",") }

        /// Whether they are drawn.
        package var areDrawn: Bool { if case .drawn = source { true } else { false } }
    }

    /// What chose the scale.
    package enum Tuning: String, Sendable {
        /// How much predictions agree with those of the single adapters.
        case agreement
        /// The labels of the images, for tasks that have them.
        case labels
    }

    /// The numbers that the images were computed in, where they are not f32.
    package struct ReducedPrecision: Sendable, Equatable {
        /// The type of the operands of products.
        package let type: OperandType
        /// The share of held-out images on which single adapters give the labels that they give in f32, as the mean
        /// over the tasks.
        package let sameLabel: Double

        /// A precision, and what it was found to keep.
        package init(_ type: OperandType, sameLabel: Double) { (self.type, self.sameLabel) = (type, sameLabel) }
    }

    /// How well a task's head was aligned.
    struct Alignment: Sendable, Equatable {
        var task: String
        /// The images that were used.
        let images: Int
        /// The ridge that was chosen.
        let ridge: Double
        /// The share of held-out images with the label of the single adapter, before alignment.
        let sameLabelBefore: Double
        /// The same after it.
        let sameLabel: Double
        /// The divergence of the predictions after it, in nats.
        let divergence: Double
        /// Whether the aligned head was used.
        let isUsed: Bool
    }

    /// The images of every task.
    package var images: [Images]
    /// Whether heads are aligned.
    package let align: Bool
    /// The rank of the alignment, nil for full.
    package let alignRank: Int?
    /// What chose the scale; nil if it was given.
    package let tune: Tuning?
    /// The drop in percent that the groups were chosen for, if they were.
    package let maxDrop: Double?
    /// The tasks of which the images made a fit, in order.
    package var fitted: [String]
    /// In which numbers the images were computed; nil for f32.
    package var precision: ReducedPrecision?
    /// How well each task was aligned, in the order of alignment.
    private(set) var alignments: [Alignment] = []

    /// A use of images without alignments.
    package init(
        images: [Images], align: Bool, alignRank: Int? = nil, tune: Tuning? = nil, maxDrop: Double? = nil,
        fitted: [String] = [], precision: ReducedPrecision? = nil
    ) {
        (self.images, self.align, self.alignRank, self.tune, self.maxDrop) = (images, align, alignRank, tune, maxDrop)
        (self.fitted, self.precision) = (fitted, precision)
    }

    /// The tasks whose heads were left as they were, because alignment made them no better.
    package var unalignedTasks: Set<String> { Set(alignments.filter { !$0.isUsed }.map(\.task)) }

    /// The part of one task.
    package func of(_ task: String) -> CalibrationUse {
        var use = withoutAlignments
        use.images.removeAll { $0.task != task }
        use.fitted.removeAll { $0 != task }
        use.alignments = alignments.filter { $0.task == task }
        return use
    }

    /// The part of one task under another name.
    mutating func rename(_ task: String, to name: String) {
        for index in images.indices where images[index].task == task { images[index].task = name }
        for index in alignments.indices where alignments[index].task == task { alignments[index].task = name }
        fitted = fitted.map { $0 == task ? name : $0 }
    }

    /// The same before any head was aligned.
    package var withoutAlignments: CalibrationUse {
        var use = self
        use.alignments = []
        return use
    }

    /// How the images were computed.
    package func passes(threads: Int) -> PassSettings {
        PassSettings(threads: threads, precision: precision?.type ?? .f32)
    }

    /// Adds how well tasks were aligned.
    package mutating func add(_ results: [HeadAlignment.Result]) {
        alignments += results.map {
            Alignment(
                task: $0.head.task, images: $0.images, ridge: $0.ridge, sameLabelBefore: $0.before.sameLabel,
                sameLabel: $0.after.sameLabel, divergence: $0.after.divergence, isUsed: !$0.isKept)
        }
    }

    // MARK: JSON

    /// The section of a recipe.
    var json: JSONObject {
        var object: JSONObject = [
            "images": .array(images.map { .object($0.json) }), "align": .bool(align),
        ]
        object["align_rank"] = alignRank.map(JSON.int)
        object["tune"] = tune.map { .string($0.rawValue) }
        object["max_drop"] = maxDrop.map(JSON.double)
        object["precision"] = precision.map {
            .object(["type": .string($0.type.rawValue), "same_label": .double($0.sameLabel)])
        }
        if !fitted.isEmpty { object["fits"] = .array(fitted.map(JSON.string)) }
        guard align else { return object }
        var tasks = JSONObject()
        for alignment in alignments {
            var task: JSONObject = [
                "images": .int(alignment.images), "ridge": .double(alignment.ridge),
                "same_label_before": .double(alignment.sameLabelBefore), "same_label": .double(alignment.sameLabel),
                "divergence": .double(alignment.divergence),
            ]
            if !alignment.isUsed { task["aligned"] = .bool(false) }
            tasks[alignment.task] = .object(task)
        }
        object["tasks"] = .object(tasks)
        return object
    }

    /// Reads the section of a recipe.
    init(_ object: JSONObject, _ fields: RecipeFields) throws {
        let section = "calibration"
        let keys: Set<String> = [
            "images", "align", "align_rank", "tune", "max_drop", "precision", "fits", "tasks",
        ]
        try fields.check(object, has: keys, in: section)
        guard let images = object["images"]?.arrayValue, object["align"] != nil else {
            throw ModelError(
                fields.path,
                "\(section): no \"images\" and \"align\"; an early version wrote it, which did not record enough to "
                    + "merge again")
        }
        self.images = try images.map { item in
            guard let item = item.objectValue else {
                throw ModelError(fields.path, "\(section): images: expected objects")
            }
            return try Images(item, fields)
        }
        align = try fields.flag(object, "align", in: section)
        alignRank = try object["align_rank"].map { _ in
            try fields.count(object, "align_rank", from: 1, in: section)
        }
        tune = try object["tune"].map { value in
            guard let tuning = value.stringValue.flatMap(Tuning.init(rawValue:)) else {
                throw ModelError(fields.path, "\(section): tune: expected agreement or labels")
            }
            return tuning
        }
        maxDrop = try object["max_drop"].map { _ in try fields.number(object, "max_drop", in: section) }
        precision = try object["precision"].map { _ in
            let section = "\(section): precision"
            let value = try fields.object(object, "precision", in: section)
            try fields.check(value, has: ["type", "same_label"], in: section)
            guard let type = OperandType(rawValue: try fields.text(value, "type", in: section)) else {
                throw ModelError(fields.path, "\(section): type: expected bf16")
            }
            return ReducedPrecision(type, sameLabel: try fields.number(value, "same_label", in: section))
        }
        let known = self.images.map(\.task)
        fitted = try (object["fits"] ?? .array([])).elements("\(section): fits", fields).map { name in
            guard let name = name.stringValue, known.contains(name) else {
                throw ModelError(fields.path, "\(section): fits: expected tasks that have images")
            }
            return name
        }
        alignments = try (object["tasks"]?.objectValue?.members ?? []).map { name, value in
            let section = "\(section): tasks: \(name)"
            guard let task = value.objectValue else { throw ModelError(fields.path, "\(section): expected an object") }
            return Alignment(
                task: name, images: try fields.count(task, "images", from: 0, in: section),
                ridge: try fields.number(task, "ridge", in: section),
                sameLabelBefore: try fields.number(task, "same_label_before", in: section),
                sameLabel: try fields.number(task, "same_label", in: section),
                divergence: try fields.number(task, "divergence", in: section),
                isUsed: try task["aligned"].map { _ in try fields.flag(task, "aligned", in: section) } ?? true)
        }
    }
}

extension CalibrationUse.Images {
    /// The images as an element of a recipe's list.
    fileprivate var json: JSONObject {
        var object: JSONObject = ["task": .string(task)]
        switch source {
        case .folders(let folders): object["folders"] = .array(folders.map(JSON.string))
        case .drawn(let kind, _, let seed):
            object["drawn"] = .object(["kind": .string(kind), "seed": .number(String(seed))])
        }
        object["count"] = .int(count)
        object["sha256"] = .string(sha256)
        let texts = JSON.array(groups.texts.map(JSON.string))
        switch groups.rule {
        case .none: break
        case .name(let pattern):
            object["hold_out"] = .object(["by": "name", "pattern": .string(pattern), "groups": texts])
        case .features(let cosine):
            object["hold_out"] = .object(["by": "features", "cosine": .double(cosine), "groups": texts])
        }
        return object
    }

    /// Reads an element of a recipe's list.
    fileprivate init(_ object: JSONObject, _ fields: RecipeFields) throws {
        let section = "calibration: images"
        let count = try fields.count(object, "count", from: 0, in: section)
        let source: CalibrationUse.Source
        if object["drawn"] != nil {
            let drawn = try fields.object(object, "drawn", in: section)
            try fields.check(drawn, has: ["kind", "seed"], in: "\(section): drawn")
            source = .drawn(
                kind: try fields.text(drawn, "kind", in: "\(section): drawn"), count: count,
                seed: try fields.seed(drawn))
        } else {
            guard let folders = object["folders"]?.arrayValue else {
                throw ModelError(fields.path, "\(section): expected task, folders or drawn, count, sha256")
            }
            source = .folders(
                try folders.map { folder in
                    guard let folder = folder.stringValue else {
                        throw ModelError(fields.path, "\(section): folders: expected strings")
                    }
                    return folder
                })
        }
        self.init(
            task: try fields.text(object, "task", in: section), source: source, count: count,
            sha256: try fields.text(object, "sha256", in: section),
            groups: try object["hold_out"].map { _ in
                try Self.groups(fields.object(object, "hold_out", in: section), count, fields)
            })
    }

    /// Reads which images are alike. Recipes from before there were groups hold out every fifth image.
    private static func groups(_ object: JSONObject, _ count: Int, _ fields: RecipeFields) throws -> ImageGroups {
        let section = "calibration: images: hold_out"
        try fields.check(object, has: ["by", "pattern", "cosine", "groups"], in: section)
        let rule: ImageGroups.Rule =
            switch try fields.text(object, "by", in: section) {
            case "name": .name(pattern: try fields.text(object, "pattern", in: section))
            case "features": .features(cosine: try fields.number(object, "cosine", in: section))
            default: throw ModelError(fields.path, "\(section): by: expected name or features")
            }
        guard let texts = object["groups"]?.arrayValue, case let groups = texts.compactMap(\.stringValue),
            groups.count == texts.count, let result = ImageGroups(rule, texts: groups, count: count)
        else {
            throw ModelError(
                fields.path, "\(section): groups: expected ranges of the \(count) images, each in one group at most")
        }
        return result
    }
}
