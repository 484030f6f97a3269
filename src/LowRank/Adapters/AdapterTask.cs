using System.Text.Json;
using System.Text.Json.Serialization;

namespace LowRank.Adapters;

/// <summary>What an adapter was trained for, beyond what PEFT's config can say: the names of its labels and how texts become
/// answers. A file beside PEFT's two, which PEFT passes over.</summary>
/// <param name="Task">The recipe's task, such as sequence_classification.</param>
public sealed record AdapterTask(string Task)
{
    /// <summary>The file's name in an adapter folder.</summary>
    public const string FileName = "lowrank_task.json";

    private static readonly JsonSerializerOptions Options = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        WriteIndented = true,
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
        Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    /// <summary>The labels in the order of their numbers; null for tasks without.</summary>
    public IReadOnlyList<string>? Labels { get; init; }

    /// <summary>transformers' problem_type: single_label_classification, multi_label_classification or regression; null for
    /// tasks other than sequence_classification.</summary>
    public string? Problem { get; init; }

    /// <summary>How states become an embedding: mean or cls; null for other tasks.</summary>
    public string? Pooling { get; init; }

    /// <summary>Longest text in tokens.</summary>
    public int? MaxLength { get; init; }

    /// <summary>Tokens that windows of a long text share (question answering); null for other tasks.</summary>
    public int? Stride { get; init; }

    /// <summary>Reads the file of an adapter folder; null where there is none.</summary>
    /// <exception cref="InputException">It is broken.</exception>
    public static AdapterTask? Load(string folder)
    {
        string path = Path.Combine(folder, FileName);
        if (!File.Exists(path)) return null;
        try
        {
            return JsonSerializer.Deserialize<AdapterTask>(File.ReadAllText(path), Options) ?? throw new InputException($"{path} is empty.");
        }
        catch (JsonException e)
        {
            throw new InputException($"{path} is not what LowRank writes: {e.Message} Remove the file to use the adapter without label names, or restore it.", e);
        }
    }

    /// <summary>Writes the file into a folder.</summary>
    public void Save(string folder) => File.WriteAllText(Path.Combine(folder, FileName), JsonSerializer.Serialize(this, Options) + "\n");
}
