using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;

namespace LowRank.Pages;

/// <summary>A table of docs/performance.md: a row for each figure, a column for each kind of machine. A kind that is
/// measured for the first time gets its column by its files alone.</summary>
/// <param name="Name">The table's name in the page.</param>
/// <param name="Columns">The kinds of machines that it always shows.</param>
/// <param name="Rows">The rows.</param>
public sealed record PerformanceTable(
    string Name, IReadOnlyList<MachineColumn> Columns, IReadOnlyList<PerformanceRow> Rows)
{
    private const string Missing = "–";

    /// <summary>All tables.</summary>
    public static IReadOnlyList<PerformanceTable> All { get; } =
    [
        new("headlines", MachineColumn.Kinds, PerformanceRows.Headlines),
        new("training", [.. MachineColumn.Kinds, MachineColumn.HeldToAvx2], PerformanceRows.Training),
        new("generation", [.. MachineColumn.Kinds, MachineColumn.HeldToAvx2], PerformanceRows.Generation),
        new("llama", MachineColumn.Kinds, PerformanceRows.Llama),
        new("serving", MachineColumn.Kinds, PerformanceRows.Serving),
        new("lengths", [.. MachineColumn.Kinds, MachineColumn.HeldToAvx2], PerformanceRows.Lengths),
    ];

    /// <summary>The files that a column reads, by their paths in <see cref="PerformancePage.Folder"/>.</summary>
    public IEnumerable<string> Files(IReadOnlyDictionary<string, JsonObject> measured) =>
        Shown(measured).SelectMany(column => Rows.SelectMany(row => row.Files).Distinct().Select(column.PathOf));

    /// <summary>The table in Markdown.</summary>
    /// <param name="measured">The measurements by file.</param>
    public string Markdown(IReadOnlyDictionary<string, JsonObject> measured)
    {
        MachineColumn[] columns = [.. Shown(measured)];
        var text = new StringBuilder($"| | {string.Join(" | ", columns.Select(column => column.Title))} |\n| --- |");
        foreach (MachineColumn _ in columns) text.Append(" ---: |");
        text.Append('\n');
        foreach (PerformanceRow row in Rows)
        {
            text.Append(CultureInfo.InvariantCulture, $"| {row.Label} |");
            foreach (MachineColumn column in columns)
                text.Append(CultureInfo.InvariantCulture,
                    $" {row.Value(file => measured.GetValueOrDefault(column.PathOf(file)))
                        ?.ToString(row.Format, CultureInfo.InvariantCulture) ?? Missing} |");
            text.Append('\n');
        }
        return text.ToString();
    }

    private IEnumerable<MachineColumn> Shown(IReadOnlyDictionary<string, JsonObject> measured) => Columns.Concat(
        measured.Keys.Where(path => path.Contains('/')).Select(path => path.Split('/')[0]).Distinct()
        .Where(folder => MachineColumn.Kinds.All(known => known.Folder != folder))
        .Select(folder => new MachineColumn(folder, folder)));
}

/// <summary>A kind of machine.</summary>
/// <param name="Folder">The folder of its files.</param>
/// <param name="Title">The column's head.</param>
/// <param name="Suffix">What the names of its files end with.</param>
public sealed record MachineColumn(string Folder, string Title, string Suffix = "")
{
    /// <summary>The kinds that the page speaks of, measured or not.</summary>
    public static IReadOnlyList<MachineColumn> Kinds { get; } =
    [
        new("amd-avx512", "AMD Zen 5, AVX-512"), new("amd-avx2", "AMD Zen 3, AVX2"), new("intel-amx", "Intel, AMX"),
    ];

    /// <summary>The first of them, held to AVX2 by environment variables.</summary>
    public static MachineColumn HeldToAvx2 { get; } =
        new(Kinds[0].Folder, "AMD Zen 5 held to AVX2", "_" + VectorLimit.Avx2.Name);

    /// <summary>A file's path in <see cref="PerformancePage.Folder"/>.</summary>
    public string PathOf(string file) => $"{Folder}/{file}{Suffix}";
}

/// <summary>A row of a table.</summary>
/// <param name="Label">What it says.</param>
/// <param name="Format">A .NET number format.</param>
/// <param name="Files">The files that it reads.</param>
/// <param name="Value">The number, given a file's object or null; null where it was not measured.</param>
public sealed record PerformanceRow(
    string Label, string Format, IReadOnlyList<string> Files, Func<Func<string, JsonObject?>, double?> Value)
{
    /// <summary>A row that shows one measured number.</summary>
    public static PerformanceRow Of(string label, string format, string file, string key) =>
        new(label, format, [file], find => Number(find(file), key));

    /// <summary>A row that shows a number of the first of several files that has it.</summary>
    public static PerformanceRow OfFirst(string label, string format, IReadOnlyList<string> files, string key) =>
        new(label, format, files,
            find => files.Select(file => Number(find(file), key)).FirstOrDefault(number => number is not null));

    /// <summary>A number in an object; null if the object or the number is missing.</summary>
    /// <param name="measured">The object.</param>
    /// <param name="key">Its key; a nested one is written with dots.</param>
    public static double? Number(JsonObject? measured, string key)
    {
        JsonNode? found = measured;
        foreach (string part in key.Split('.')) found = (found as JsonObject)?[part];
        return found is JsonValue value && value.TryGetValue(out double number) ? number : null;
    }
}
