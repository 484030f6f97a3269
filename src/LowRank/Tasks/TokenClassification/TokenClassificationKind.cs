using System.Text.Json;
using System.Text.Json.Nodes;
using LowRank.Data;
using LowRank.Data.Rows;
using LowRank.Models;
using LowRank.Models.Families;
using LowRank.Tokenization;

namespace LowRank.Tasks.TokenClassification;

/// <summary>Labels for the words of a text, as in named entity recognition.</summary>
/// <remarks>Rows: <c>{"tokens": [words], "tags": [labels]}</c>; or <c>{"text", "entities": [{"start", "end", "label"}]}</c>,
/// which are learned as B- and I- tags; or <c>{"input_ids", "labels"}</c>.</remarks>
public sealed class TokenClassificationKind : ITaskKind
{
    /// <inheritdoc/>
    public string Name => "token_classification";

    /// <inheritdoc/>
    public HeadKind Head => HeadKind.TokenClassification;

    /// <inheritdoc/>
    public IReadOnlyList<string> Options { get; } = ["labels", "new_head"];

    /// <inheritdoc/>
    public bool Fits(IModelFamily family) => family.Heads.Contains(Head);

    /// <inheritdoc/>
    public TaskSettings Complete(TaskSettings settings, RowSource data, ConfigReader config)
    {
        var column = new LabelColumn();
        var variety = new LabelVariety();
        var entities = new HashSet<string>();
        bool marksSpans = false;
        DataPlace? numbered = null;
        foreach (Sample sample in data.ReadAll(foreign: false))
        {
            column.AddFields(sample);
            string key = TextRows.HoldsTokens(sample) ? "labels" : TagReader.TagKey(sample);
            foreach (JsonNode? tag in sample.Row[key] as JsonArray ?? [])
            {
                if (LabelValue.Name(tag) is not { } name || name == "-100") continue;
                if (key != "labels" && tag!.GetValueKind() == JsonValueKind.Number) numbered ??= sample.Place;
                column.Add(tag, sample.Place);
                variety.Add(name);
            }
            marksSpans |= sample.Row["entities"] is not null;
            foreach (JsonNode? entity in sample.Row["entities"] as JsonArray ?? [])
                if (LabelValue.Name((entity as JsonObject)?["label"]) is { } name) entities.Add(name);
        }
        var notes = new List<string>();
        if (variety.OnlyOne && !marksSpans) notes.Add("every word has the same tag: a model learns to give it always, and nothing else. Add rows with other tags");
        if (settings.Labels is not null) return settings with { Notes = notes };
        if (numbered is { } place && column.OfBase(config) is null)
            throw new InputException($"{place}: the tags are numbers, and nothing names them. Name all tags in the order of their numbers, such as task_options.labels: [O, B-PER, I-PER].");
        if (!marksSpans) return settings with { Labels = column.Choose(config, notes), Notes = notes };
        foreach (string tag in (string[])["O", .. entities.SelectMany(entity => new[] { "B-" + entity, "I-" + entity })]) column.Add(tag, default);
        IReadOnlyList<string> chosen = column.Choose(config, notes);
        // "O" is 0 in every published tag set.
        return settings with { Labels = column.OfBase(config) is null ? ["O", .. chosen.Where(label => label != "O")] : chosen, Notes = notes };
    }

    /// <inheritdoc/>
    public int HeadSize(TaskSettings settings) => settings.Labels!.Count;

    /// <inheritdoc/>
    public ITask Start(PretrainedModel model, Tokenizer? tokenizer, TaskSettings settings) => new TokenClassificationTask(model, tokenizer, settings);
}
