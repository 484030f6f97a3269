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
    public IReadOnlyList<string> Options { get; } = ["labels"];

    /// <inheritdoc/>
    public bool Fits(IModelFamily family) => family.Heads.Contains(Head);

    /// <inheritdoc/>
    public TaskSettings Complete(TaskSettings settings, RowSource data, ConfigReader config)
    {
        if (settings.Labels is not null) return settings;
        var tags = new HashSet<string>();
        var entities = new HashSet<string>();
        bool marksSpans = false;
        foreach (Sample sample in data.ReadAll(foreign: false))
        {
            string key = TextRows.HoldsTokens(sample) ? "labels" : "tags";
            foreach (JsonNode? tag in sample.Row[key] as JsonArray ?? [])
                if (LabelSet.Text(tag) is { } name && name != "-100") tags.Add(name);
            marksSpans |= sample.Row.ContainsKey("entities");
            foreach (JsonNode? entity in sample.Row["entities"] as JsonArray ?? [])
                if (LabelSet.Text((entity as JsonObject)?["label"]) is { } name) entities.Add(name);
        }
        if (!marksSpans) return settings with { Labels = LabelSet.Choose(null, config, tags) };
        tags.UnionWith(["O", .. entities.SelectMany(entity => new[] { "B-" + entity, "I-" + entity })]);
        IReadOnlyList<string> chosen = LabelSet.Choose(null, config, tags);
        // "O" is 0 in every published tag set.
        return settings with { Labels = chosen.Contains("O") && HeadRequest.LabelNames(config.Root) != chosen ? ["O", .. chosen.Where(label => label != "O")] : chosen };
    }

    /// <inheritdoc/>
    public int HeadSize(TaskSettings settings) => settings.Labels!.Count;

    /// <inheritdoc/>
    public ITask Start(PretrainedModel model, Tokenizer? tokenizer, TaskSettings settings) => new TokenClassificationTask(model, tokenizer, settings);
}
