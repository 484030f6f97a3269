using System.Text.Json;
using System.Text.Json.Nodes;
using LowRank.Data;
using LowRank.Models;

namespace LowRank.Tasks;

/// <summary>Decides for a whole column whether its labels are names, class numbers, booleans or numbers to
/// predict.</summary>
internal sealed class LabelColumn
{
    private const int Shown = 5;

    private readonly Dictionary<string, HashSet<string>> spellings = []; // the spellings in the rows, by canonical name
    private readonly HashSet<string> names = [];
    private readonly SortedSet<string> fields = new(StringComparer.Ordinal);
    private DataPlace? firstNumber;
    private int lists, emptyLists, tables, padded; // tables: lists of 0 and 1 with the length of the first
    private int? width;

    /// <summary>Whether there is a label.</summary>
    public bool IsEmpty => names.Count == 0;

    /// <summary>The place of the first number; null if there is none.</summary>
    public DataPlace? FirstNumber => firstNumber;

    /// <summary>Whether the labels are numbers, at least one with a fraction, and therefore not classes.</summary>
    public bool HasFractions =>
        AreNumbers && names.Any(name => LabelValue.Number(name) is { } number && number != Math.Floor(number));

    /// <summary>The number of labels if they are lists of 0 and 1 of equal length, with one position per label; null if
    /// the lists contain labels.</summary>
    public int? TableWidth => width >= 2 && tables == lists && emptyLists == 0 ? width : null;

    private bool AreNumbers => names.Count > 0 && names.All(name => LabelValue.Number(name) is not null);

    private bool AreTruths => names.Count > 0 && names.All(name => LabelValue.Truth(name) is not null);

    /// <summary>Records the field names of a row, for the message if no row has a label.</summary>
    public void AddFields(Row row)
    {
        foreach ((string name, JsonNode? _) in row.Fields)
            if (fields.Count < Shown * 2) fields.Add(name);
    }

    /// <summary>Adds a label.</summary>
    public void Add(JsonNode? label, DataPlace place)
    {
        if (LabelValue.Name(label) is not { } name) return;
        names.Add(name);
        string written = label!.ToJsonString();
        string canonical = LabelValue.Canonical(name);
        if (!spellings.TryGetValue(canonical, out HashSet<string>? known)) spellings.Add(canonical, known = []);
        if (known.Count < Shown) known.Add(written);
        if (label.GetValueKind() == JsonValueKind.String && label.GetValue<string>().Length != name.Length) padded++;
        if (label.GetValueKind() == JsonValueKind.Number) firstNumber ??= place;
    }

    /// <summary>Adds a list of labels.</summary>
    public void AddList(JsonArray list, DataPlace place)
    {
        lists++;
        if (list.Count == 0) emptyLists++;
        width ??= list.Count == 0 ? null : list.Count;
        if (list.Count == width && list.All(value => LabelValue.Flag(value) is not null)) tables++;
        foreach (JsonNode? label in list) Add(label, place);
    }

    /// <summary>The labels of a run: those of the base's head if they fit the data, otherwise the data's,
    /// sorted.</summary>
    /// <param name="config">The base's config.</param>
    /// <param name="notes">Receives notes about how the labels were read, one sentence each.</param>
    /// <exception cref="InputException">The data has no labels.</exception>
    public IReadOnlyList<string> Choose(ConfigReader config, ICollection<Words> notes)
    {
        if (IsEmpty)
            throw new InputException(new Problem(
                "The training data has no label. Expected \"label\" or \"labels\" in the rows (\"tags\" or " +
                $"\"entities\" for words){(fields.Count == 0 ? "" : $"; found: {string.Join(", ", fields)}")}.")
            {
                Code = ProblemCodes.RowLacksField, Found = string.Join(", ", fields), Expected = "label",
                Remedy = KnownSettings.Columns.To("label"),
            });
        if (OfBase(config) is { } own) return own;
        if (AreNumbers && !HasFractions)
        {
            int[] classes = [.. names.Select(LabelValue.ClassNumber).OfType<int>().Distinct().Order()];
            if (classes.Length == 0)
                throw new InputException(
                    $"The labels of the training data are numbers and no classes (such as {names.First()}): a " +
                    $"class is a whole number from 0. Learn them as numbers" +
                    $"{KnownSettings.Problem.To("regression").Aside}, or name all labels{KnownSettings.Labels.Aside}.");
            NoteSpellings(notes);
            notes.Add(
                $"labels are whole numbers, read as {classes.Length} classes; regression" +
                $"{KnownSettings.Problem.Aside} learns them as numbers");
            return [.. classes.Select(number => number.ToString(System.Globalization.CultureInfo.InvariantCulture))];
        }
        NoteSpellings(notes);
        if (AreTruths && names.Count > spellings.Count) return [.. spellings.Keys.Order(StringComparer.Ordinal)];
        NoteCase(notes);
        return [.. names.Order(StringComparer.Ordinal)];
    }

    /// <summary>The label names of the base's head; null if it has none, or the data has other labels.</summary>
    public IReadOnlyList<string>? OfBase(ConfigReader config)
    {
        if (HeadRequest.LabelNames(config.Root) is not { } own) return null;
        var set = own.ToHashSet();
        return names.All(
            label => set.Contains(label) || (LabelValue.ClassNumber(label) is { } number && number < own.Count)) ? own
            : null;
    }

    private void NoteSpellings(ICollection<Words> notes)
    {
        string[] several =
            [.. spellings.Values.Where(written => written.Count > 1 && AreNumbers | AreTruths)
            .Select(written => string.Join(" and ", written))];
        if (several.Length > 0)
            notes.Add($"labels that mean the same are one: {string.Join("; ", several.Take(Shown))}");
        if (padded > 0)
            notes.Add(
                $"{(padded == 1 ? "1 label has" : $"{padded} labels have")} blanks around " +
                $"{(padded == 1 ? "it" : "them")}, which are left out");
        if (!AreNumbers && !AreTruths && firstNumber is { } place && names.Any(name => LabelValue.Number(name) is null))
            notes.Add($"labels are names and numbers (the first at {place}); all are read as names");
    }

    private void NoteCase(ICollection<Words> notes)
    {
        string[] alike =
            [.. names.GroupBy(name => name.ToUpperInvariant()).Where(group => group.Count() > 1)
            .Select(group => string.Join(" and ", group.Order(StringComparer.Ordinal)))];
        if (alike.Length > 0)
            notes.Add(
                $"labels that differ in upper and lower case alone are different ones: " +
                $"{string.Join("; ", alike.Take(Shown))}. Spell them alike where the same is meant");
    }
}
