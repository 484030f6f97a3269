namespace LowRank.Cli.Sweep;

/// <summary>A key of the recipe and the values that are tried: <c>adapter.rank=4,8,16</c>.</summary>
/// <param name="Key">With its sections.</param>
/// <param name="Values">As YAML writes them.</param>
internal sealed record GridAxis(string Key, IReadOnlyList<string> Values)
{
    // What a sweep sets itself.
    private static readonly string[] Taken = ["output", "training.threads"];

    /// <summary>The key's last part, which a list of runs shows.</summary>
    public string Name => Key[(Key.LastIndexOf('.') + 1)..];

    /// <summary>Reads the axes of a grid.</summary>
    /// <exception cref="InputException">All problems at once.</exception>
    public static IReadOnlyList<GridAxis> ParseAll(IReadOnlyList<string> grids)
    {
        var problems = new List<string>();
        var axes = new List<GridAxis>();
        foreach (string grid in grids)
        {
            int equals = grid.IndexOf('=', StringComparison.Ordinal);
            string key = equals > 0 ? grid[..equals].Trim() : "";
            List<string> values = equals > 0 ? Split(grid[(equals + 1)..]) : [];
            if (key.Length == 0 || values.Count == 0 || values.Contains("")) problems.Add($"--grid {grid}: expected key=value,value,… such as adapter.rank=4,8,16; a list as a value goes into brackets");
            else if (Taken.Contains(key)) problems.Add($"--grid {grid}: {key} is set by the sweep itself; use {(key == "output" ? "--output" : "--parallel")}");
            else if (axes.Exists(axis => axis.Key == key)) problems.Add($"--grid {grid}: {key} is given twice; put all its values into one --grid");
            else if (values.Distinct().Count() < values.Count) problems.Add($"--grid {grid}: a value is given twice");
            else axes.Add(new GridAxis(key, values));
        }
        if (problems.Count > 0) throw problems.Count == 1 ? new InputException(problems[0]) : new InputException("The grid cannot be tried:", problems);
        return axes;
    }

    // At commas that are in no brackets, braces or quotes.
    private static List<string> Split(string text)
    {
        var values = new List<string>();
        int depth = 0, start = 0;
        char quote = '\0';
        for (int i = 0; i < text.Length; i++)
        {
            char c = text[i];
            if (quote != '\0') quote = c == quote ? '\0' : quote;
            else if (c is '"' or '\'') quote = c;
            else if (c is '[' or '{') depth++;
            else if (c is ']' or '}') depth--;
            else if (c == ',' && depth == 0)
            {
                values.Add(text[start..i].Trim());
                start = i + 1;
            }
        }
        values.Add(text[start..].Trim());
        return values;
    }
}
