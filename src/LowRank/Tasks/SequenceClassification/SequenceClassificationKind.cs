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
    public IReadOnlyList<string> Options { get; } = ["labels", "problem", "new_head"];

    /// <inheritdoc/>
    public bool Fits(IModelFamily family) => family.Heads.Contains(Head);

    /// <inheritdoc/>
    public TaskSettings Complete(TaskSettings settings, RowSource data, ConfigReader config)
    {
        if (settings.Problem == Problems.Regression) return settings;
        var column = new LabelColumn();
        var targets = new LabelVariety();
        bool several = false, single = false;
        IReadOnlyList<Sample> rows = data.ReadAll(foreign: false);
        foreach (Sample sample in rows)
        {
            column.AddFields(sample);
            if (LabelValue.List(sample.Row["labels"]) is { } list)
            {
                several = true;
                column.AddList(list, sample.Place);
                targets.Add(string.Join('\n', list.Select(LabelValue.Name).Order(StringComparer.Ordinal)));
            }
            if (LabelValue.Name(sample.Row["label"]) is not { } name) continue;
            single = true;
            column.Add(sample.Row["label"], sample.Place);
            targets.Add(LabelValue.Canonical(name));
        }
        if (column.IsEmpty && settings.Labels is null && rows.Count > 0)
            throw new InputException($"The training data has no label: {Sample.Lacks(rows[0].Row, "label")} A table without a line of names takes data.csv: {{header: false}}, and its columns are numbers from 0.");
        if (several && single)
            throw new InputException("Some rows have \"label\" and some \"labels\". Expected \"label\" in all (one label a text), or \"labels\" in all (any number of labels).");
        return Choose(settings, column, several, config, targets);
    }

    /// <inheritdoc/>
    public int HeadSize(TaskSettings settings) => settings.Problem == Problems.Regression ? 1 : settings.Labels!.Count;

    /// <inheritdoc/>
    public ITask Start(PretrainedModel model, Tokenizer? tokenizer, TaskSettings settings) => new SequenceClassificationTask(model, tokenizer, settings);

    private static TaskSettings Choose(TaskSettings settings, LabelColumn column, bool several, ConfigReader config, LabelVariety targets)
    {
        var notes = new List<string>();
        bool numbers = settings is { Problem: null, Labels: null } && !several && column.HasFractions;
        string problem = settings.Problem ?? (several ? Problems.MultiLabel : numbers ? Problems.Regression : Problems.SingleLabel);
        if (numbers) notes.Add($"labels are numbers with fractions, read as {Problems.Regression}; task_options.problem: {Problems.SingleLabel} learns them as names");
        if (problem == Problems.Regression) return settings with { Problem = problem, Notes = notes };
        IReadOnlyList<string> labels = problem == Problems.MultiLabel && column.TableWidth is { } width ? LabelTable.Names(settings.Labels, width, config, notes)
            : settings.Labels is { } given ? new LabelSet(given).Names : column.Choose(config, notes);
        if (problem == Problems.SingleLabel && labels.Count == 1)
            throw new InputException($"The data has one label, {labels[0]}: with nothing to tell it from, nothing can be learned. Add rows with other labels, or name all labels under task_options.labels.");
        if (targets.OnlyOne) notes.Add("every row has the same label: a model learns to give it always, and nothing else. Add rows with other labels");
        return settings with { Problem = problem, Labels = labels, Notes = notes };
    }
}
