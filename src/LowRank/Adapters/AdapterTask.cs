using System.Text.Json.Serialization;
using LowRank.Adapters.Files;
using LowRank.Models.Sentences;

namespace LowRank.Adapters;

/// <summary>What an adapter was trained for, beyond what PEFT's config can say: the names of its labels and how texts become
/// answers. A file beside PEFT's two, which PEFT passes over.</summary>
/// <param name="Task">The recipe's task, such as sequence_classification.</param>
public sealed record AdapterTask(string Task)
{
    /// <summary>The file's name in an adapter folder.</summary>
    public const string FileName = "lowrank_task.json";

    /// <summary>The labels in the order of their numbers; null for tasks without.</summary>
    public IReadOnlyList<string>? Labels { get; init; }

    /// <summary>transformers' problem_type: single_label_classification, multi_label_classification or regression; null for
    /// tasks other than sequence_classification.</summary>
    public string? Problem { get; init; }

    /// <summary>How states become an embedding, one of <see cref="SentenceFolder.ModeNames"/>; null for other tasks, and where <see cref="Sentence"/> pools in several ways.</summary>
    public string? Pooling { get; init; }

    /// <summary>All of how texts become embeddings, which is written as sentence-transformers reads it; null for other tasks.</summary>
    [JsonIgnore]
    public SentencePipeline? Sentence { get; init; }

    /// <summary>Longest text in tokens.</summary>
    public int? MaxLength { get; init; }

    /// <summary>Tokens that windows of a long text share (question answering); null for other tasks.</summary>
    public int? Stride { get; init; }

    /// <summary>Reads the file of an adapter folder; null where there is none.</summary>
    /// <exception cref="InputException">It is broken.</exception>
    public static AdapterTask? Load(string folder) => OwnFile.Load<AdapterTask>(folder, FileName, "without label names", Wrong) is not { } task ? null
        : SentenceFolder.Read(folder) is { } sentence ? task with { Sentence = sentence } : task;

    private static string? Wrong(AdapterTask task) =>
        task.MaxLength is < 1 ? $"max_length is {task.MaxLength}, expected at least 1"
        : task.Stride is < 0 ? $"stride is {task.Stride}, expected at least 0"
        : task.Pooling is { } pooling && !SentenceFolder.ModeNames.Contains(pooling) ? $"pooling is \"{pooling}\", expected one of {string.Join(", ", SentenceFolder.ModeNames)}"
        : task.Problem is not (null or "single_label_classification" or "multi_label_classification" or "regression")
            ? $"problem is \"{task.Problem}\", expected single_label_classification, multi_label_classification or regression"
        : task.Labels is { Count: 0 } ? "labels is an empty list, expected a name for each label" : null;

    /// <summary>Writes the file into a folder, and those of sentence-transformers beside it.</summary>
    public void Save(string folder)
    {
        OwnFile.Save(this, folder, FileName);
        if (Sentence is not null) SentenceFolder.Save(Sentence, folder);
    }
}
