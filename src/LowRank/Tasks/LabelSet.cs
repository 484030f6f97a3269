using System.Text.Json;
using System.Text.Json.Nodes;
using LowRank.Data;
using LowRank.Models;

namespace LowRank.Tasks;

/// <summary>The labels of a task, by name and number.</summary>
public sealed class LabelSet
{
    private readonly Dictionary<string, int> numbers;

    /// <summary>Numbers labels in their order.</summary>
    /// <exception cref="InputException">There is none, or a name stands twice.</exception>
    public LabelSet(IReadOnlyList<string> names)
    {
        if (names.Count == 0) throw new InputException("labels: found none, expected at least one name.");
        string[] twice = [.. names.GroupBy(name => name).Where(group => group.Count() > 1).Select(group => group.Key)];
        if (twice.Length > 0) throw new InputException($"labels: named more than once: {string.Join(", ", twice)}.");
        Names = names;
        numbers = names.Select((name, number) => KeyValuePair.Create(name, number)).ToDictionary();
    }

    /// <summary>The names in the order of their numbers.</summary>
    public IReadOnlyList<string> Names { get; }

    /// <summary>The number of a label in a row: of a name, or of a whole number that is no label's name.</summary>
    /// <exception cref="InputException">It is no label; the message lists them.</exception>
    public int Number(JsonNode? label)
    {
        if (Text(label) is { } name)
        {
            if (numbers.TryGetValue(name, out int number)) return number;
            if (label!.GetValueKind() == JsonValueKind.Number && int.TryParse(name, out int index) && index >= 0 && index < Names.Count) return index;
        }
        string shown = string.Join(", ", Names.Take(20)) + (Names.Count > 20 ? $" and {Names.Count - 20} more" : "");
        throw new InputException($"the label {label?.ToJsonString() ?? "null"} is not known; expected one of {shown}. " +
            "Correct the row, or name all labels under task_options.labels.");
    }

    /// <summary>A label as text: a name, or a whole number; null for anything else.</summary>
    public static string? Text(JsonNode? label) => label?.GetValueKind() switch
    {
        JsonValueKind.String => label.GetValue<string>(),
        JsonValueKind.Number when label.AsValue().TryGetValue(out long number) => number.ToString(),
        JsonValueKind.True => "true",
        JsonValueKind.False => "false",
        _ => null,
    };

    /// <summary>The labels of a run: those given, else those of the base's head where they fit the data, else the data's, sorted.</summary>
    /// <param name="given">The user's; null for none.</param>
    /// <param name="config">The base's config.</param>
    /// <param name="found">Labels of the training data.</param>
    /// <exception cref="InputException">The data has none.</exception>
    public static IReadOnlyList<string> Choose(IReadOnlyList<string>? given, ConfigReader config, IEnumerable<string> found)
    {
        if (given is not null) return new LabelSet(given).Names;
        HashSet<string> labels = [.. found];
        if (labels.Count == 0) throw new InputException("The training data has no label. Expected \"label\" or \"labels\" in the rows, or names under task_options.labels.");
        if (HeadRequest.LabelNames(config.Root) is { } names && labels.All(label => names.Contains(label) || (int.TryParse(label, out int n) && n >= 0 && n < names.Count)))
            return names;
        return labels.All(label => long.TryParse(label, out _)) ? [.. labels.OrderBy(long.Parse)] : [.. labels.Order(StringComparer.Ordinal)];
    }
}
