using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using LowRank.Data;
using LowRank.Data.Rows;
using LowRank.Generation;
using LowRank.Metrics;

namespace LowRank.Tasks;

/// <summary>Texts generated for prompts, with the references of the data.</summary>
/// <param name="Prompts">The prompts, each once, in the order of the data.</param>
/// <param name="Texts">The generated texts.</param>
/// <param name="References">The reference texts of each prompt.</param>
public sealed record GeneratedTexts(
    IReadOnlyList<string> Prompts, IReadOnlyList<string> Texts, IReadOnlyList<IReadOnlyList<string>> References)
{
    private static readonly JsonSerializerOptions Readable =
        new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Reads rows with a prompt and references, and generates a text for every prompt.</summary>
    /// <param name="task">The task on its model.</param>
    /// <param name="source">Rows in any form that training accepts.</param>
    /// <param name="batchSize">Prompts per batch.</param>
    /// <param name="maxNewTokens">Maximum number of tokens per text.</param>
    /// <param name="limit">Maximum number of prompts, taken from the start; null for all.</param>
    /// <param name="notes">Receives notes from reading, one sentence each; may be null.</param>
    /// <exception cref="InputException">Some rows cannot be used; lists all of them.</exception>
    public static GeneratedTexts Create(IGeneratingTask task, RowSource source, int batchSize, int maxNewTokens,
        int? limit, ICollection<Words>? notes) =>
        Create(task, PromptRows.Read(source, referenced: true, notes), batchSize, maxNewTokens, limit);

    /// <summary>Generates a text for every prompt; rows with the same prompt are merged and share their
    /// references.</summary>
    /// <param name="task">The task on its model.</param>
    /// <param name="prompted">Rows with "prompt", and "completion" or "references".</param>
    /// <param name="batchSize">Prompts per batch.</param>
    /// <param name="maxNewTokens">Maximum number of tokens per text.</param>
    /// <param name="limit">Maximum number of prompts, taken from the start; null for all.</param>
    /// <exception cref="InputException">A row lacks a prompt or a reference.</exception>
    public static GeneratedTexts Create(
        IGeneratingTask task, IReadOnlyList<Row> prompted, int batchSize, int maxNewTokens, int? limit) =>
        Create(task, prompted, batchSize, maxNewTokens, limit, written: null);

    /// <summary>Like the other overload, with a call after each text.</summary>
    internal static GeneratedTexts Create(IGeneratingTask task, IReadOnlyList<Row> prompted, int batchSize,
        int maxNewTokens, int? limit, Action? written)
    {
        var rows = new OrderedDictionary<string, (Row Row, List<string> References)>();
        foreach (Row row in prompted)
        {
            string prompt = PromptRows.Prompt(row);
            List<string> wanted = [.. PromptRows.References(row)];
            if (wanted.Count == 0)
                throw new InputException($"{row.Place}: the row has neither \"completion\" nor \"references\".");
            if (rows.TryGetValue(prompt, out (Row Row, List<string> References) known))
                known.References.AddRange(wanted);
            else rows.Add(prompt, (row, wanted));
        }
        List<KeyValuePair<string, (Row Row, List<string> References)>> taken = [.. rows.Take(limit ?? int.MaxValue)];
        List<string> texts = [];
        foreach (string text in task.Generate([.. taken.Select(one => one.Value.Row)], batchSize,
            new GenerationOptions { MaxNewTokens = maxNewTokens }))
        {
            texts.Add(text);
            written?.Invoke();
        }
        return new GeneratedTexts(
            [.. taken.Select(one => one.Key)], texts, [.. taken.Select(one => one.Value.References)]);
    }

    /// <summary>The metrics, named with their tokenisation if they have one.</summary>
    public IReadOnlyDictionary<string, double> Metrics() => new Dictionary<string, double>
    {
        ["bleu_e2e"] = Bleu.ComputeE2E(Texts, References).Score,
        ["bleu_13a"] = Bleu.Compute(Texts, References).Score,
        ["rouge_l"] = Rouge.L(Texts, References),
        ["chrf"] = Chrf.Compute(Texts, References),
    };

    /// <summary>Writes one line per prompt.</summary>
    public void Save(Stream stream)
    {
        using var writer = new StreamWriter(stream, leaveOpen: true) { NewLine = "\n" };
        for (int i = 0; i < Texts.Count; i++)
        {
            var line = new JsonObject
            {
                ["prompt"] = Prompts[i],
                ["text"] = Texts[i],
                ["references"] = new JsonArray([.. References[i].Select(one => (JsonNode?)one)]),
            };
            writer.WriteLine(line.ToJsonString(Readable));
        }
    }
}
