using System.Text.Json.Nodes;

namespace LowRank.Data.Forms;

/// <summary>Reads the fields of a row, and notes each that is wrong.</summary>
internal sealed class RowFields(JsonObject row)
{
    private readonly List<string> problems = [];

    /// <summary>Whether nothing is wrong so far.</summary>
    public bool AreRight => problems.Count == 0;

    public void Problem(string problem) => problems.Add(problem);

    /// <summary>A text that is not empty; "" after a problem.</summary>
    public string FilledText(string key, string whenEmpty)
    {
        if (Sample.AsText(row[key]) is not { } text)
        {
            problems.Add($"\"{key}\" is {Sample.Describe(row[key])}, expected a text.");
            return "";
        }
        if (text.Length == 0) problems.Add($"\"{key}\" is empty. {whenEmpty}");
        return text;
    }

    /// <summary>A text; "" after a problem.</summary>
    public string AnyText(string key)
    {
        if (Sample.AsText(row[key]) is { } text) return text;
        problems.Add($"\"{key}\" is {Sample.Describe(row[key])}, expected a text.");
        return "";
    }

    /// <summary>Whole numbers; none after a problem.</summary>
    /// <param name="key">The field.</param>
    /// <param name="isAllowed">Which numbers are.</param>
    /// <param name="expected">What messages call them.</param>
    public int[] Numbers(string key, Func<long, bool> isAllowed, string expected)
    {
        if (row[key] is not JsonArray list)
        {
            problems.Add($"\"{key}\" is {Sample.Describe(row[key])}, expected a list of whole numbers.");
            return [];
        }
        var numbers = new int[list.Count];
        int wrong = 0;
        for (int i = 0; i < numbers.Length; i++)
        {
            if (list[i] is JsonValue value && value.TryGetValue(out long number) && number is >= int.MinValue and <= int.MaxValue && isAllowed(number))
                numbers[i] = (int)number;
            else if (wrong++ == 0)
                problems.Add($"\"{key}\"[{i}] is {Sample.Describe(list[i])}, expected {expected}.");
        }
        if (wrong > 1) problems[^1] = problems[^1].TrimEnd('.') + $" ({wrong - 1} more in this list are wrong).";
        return numbers;
    }

    public void ThrowIfWrong()
    {
        if (problems.Count > 0) throw new InputException("The row cannot be used:", problems);
    }
}
