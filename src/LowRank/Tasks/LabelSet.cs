using System.Text.Json;
using System.Text.Json.Nodes;
using LowRank.Data;

namespace LowRank.Tasks;

/// <summary>The labels of a task, by name and number.</summary>
public sealed class LabelSet
{
    private readonly Dictionary<string, int> numbers;
    private readonly Dictionary<string, int> canonical; // of names that are numbers or truth values, however they are spelled
    private readonly bool goesByNumber;

    /// <summary>Numbers labels in their order.</summary>
    /// <exception cref="InputException">There is none, or a name stands twice.</exception>
    public LabelSet(IReadOnlyList<string> names)
    {
        if (names.Count == 0) throw new InputException("labels: found none, expected at least one name.");
        string[] twice = [.. names.GroupBy(name => name).Where(group => group.Count() > 1).Select(group => group.Key)];
        if (twice.Length > 0) throw new InputException($"labels: named more than once: {string.Join(", ", twice)}.");
        Names = names;
        numbers = names.Select((name, number) => KeyValuePair.Create(name, number)).ToDictionary();
        canonical = names.Select((name, number) => KeyValuePair.Create(LabelValue.Canonical(name), number)).GroupBy(entry => entry.Key)
            .Where(group => group.Count() == 1).SelectMany(group => group).ToDictionary();
        goesByNumber = !names.Any(name => LabelValue.Number(name) is not null);
    }

    /// <summary>The names in the order of their numbers.</summary>
    public IReadOnlyList<string> Names { get; }

    /// <summary>The number of a label in a row: of a name; or of a whole number, where no name is a number.</summary>
    /// <exception cref="InputException">It is no label; the message lists them.</exception>
    public int Number(JsonNode? label)
    {
        if (Text(label) is not { } name) throw new InputException(Missing(label));
        if (numbers.TryGetValue(name, out int number) || canonical.TryGetValue(LabelValue.Canonical(name), out number)) return number;
        if (goesByNumber && LabelValue.ClassNumber(name) is { } index && index < Names.Count) return index;
        string shown = string.Join(", ", Names.Take(20)) + (Names.Count > 20 ? $" and {Names.Count - 20} more" : "");
        string reason = LabelValue.Number(name) is not null && LabelValue.ClassNumber(name) is null
            ? "Classes are whole numbers from 0; a -1 marks rows without a label in many data sets. Leave such rows out, or set task_options.problem: regression to learn numbers."
            : "Correct the row, or name all labels under task_options.labels.";
        throw new InputException($"the label {label!.ToJsonString()} is not known; expected one of {shown}. {reason}");
    }

    /// <summary>A label as text, without blanks around it: a name, a number or a truth value; null for anything else, an empty text too.</summary>
    public static string? Text(JsonNode? label) => LabelValue.Name(label);

    /// <summary>What is wrong with a label that is no text and no number.</summary>
    internal static string Missing(JsonNode? label) => label?.GetValueKind() switch
    {
        null or JsonValueKind.Null => "the row has no label; expected one.",
        JsonValueKind.String => "the label is empty; expected a name or a number. Remove the row, or give it a label.",
        JsonValueKind.Array => $"the label is the list {label.ToJsonString()}, expected one label; a list of labels stands under \"labels\".",
        _ => $"the label is {Sample.Describe(label)}, expected a name or a number.",
    };
}
