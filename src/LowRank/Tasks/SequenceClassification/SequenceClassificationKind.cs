using System.Text.Json;
using System.Text.Json.Nodes;
using LowRank.Data;
using LowRank.Data.Rows;
using LowRank.Models;
using LowRank.Models.Families;
using LowRank.Tokenization;

namespace LowRank.Tasks.SequenceClassification;

/// <summary>Labels for whole texts, or pairs of texts: one, several, or a number.</summary>
/// <remarks>Rows: <c>{"text"[, "text_pair"], "label"}</c>, <c>{"text"[, "text_pair"], "labels": […]}</c> for several labels,
/// <c>"label": 3.5</c> for regression; or <c>"input_ids"</c> in place of texts.</remarks>
public sealed class SequenceClassificationKind : ITaskKind
{
    /// <inheritdoc/>
    public string Name => "sequence_classification";

    /// <inheritdoc/>
    public HeadKind Head => HeadKind.SequenceClassification;

    /// <inheritdoc/>
    public IReadOnlyList<string> Options { get; } = ["labels", "problem"];

    /// <inheritdoc/>
    public bool Fits(IModelFamily family) => family.Heads.Contains(Head);

    /// <inheritdoc/>
    public TaskSettings Complete(TaskSettings settings, RowSource data, ConfigReader config)
    {
        if (settings is { Problem: not null, Labels: not null } || settings.Problem == Problems.Regression) return settings;
        var found = new HashSet<string>();
        bool several = false, single = false, numbers = false;
        foreach (Sample sample in data.ReadAll(foreign: false))
        {
            several |= sample.Row.ContainsKey("labels");
            if (sample.Row["label"] is { } label)
            {
                single = true;
                numbers |= label.GetValueKind() == JsonValueKind.Number && LabelSet.Text(label) is null;
            }
            foreach (JsonNode? one in sample.Row["labels"] as JsonArray ?? [sample.Row["label"]?.DeepClone()])
                if (LabelSet.Text(one) is { } name) found.Add(name);
        }
        if (several && single)
            throw new InputException("Some rows have \"label\" and some \"labels\". Expected \"label\" in all (one label a text), or \"labels\" in all (any number of labels).");
        string problem = settings.Problem ?? (several ? Problems.MultiLabel : numbers ? Problems.Regression : Problems.SingleLabel);
        return problem == Problems.Regression ? settings with { Problem = problem }
            : settings with { Problem = problem, Labels = LabelSet.Choose(settings.Labels, config, found) };
    }

    /// <inheritdoc/>
    public int HeadSize(TaskSettings settings) => settings.Problem == Problems.Regression ? 1 : settings.Labels!.Count;

    /// <inheritdoc/>
    public ITask Start(PretrainedModel model, Tokenizer? tokenizer, TaskSettings settings) => new SequenceClassificationTask(model, tokenizer, settings);
}
