using System.Text.Json;
using System.Text.Json.Nodes;
using LowRank.Data;
using LowRank.Models;

namespace LowRank.Tasks;

/// <summary>What all labels of the data have in common: one rule for the whole column tells whether they are names,
/// classes by number, truth values or numbers to predict.</summary>
internal sealed class LabelColumn
{
    private const int Shown = 5;

    private readonly Dictionary<string, HashSet<string>> spellings = []; // by canonical name, as the rows write them
    private readonly HashSet<string> names = [];
    private readonly SortedSet<string> fields = new(StringComparer.Ordinal);
    private DataPlace? firstNumber;
    private int lists, emptyLists, tables, padded; // tables: lists of 0 and 1 of the first one's length
    private int? width;

    /// <summary>Whether there is a label.</summary>
    public bool IsEmpty => names.Count == 0;

    /// <summary>Where the first number stands; null where there is none.</summary>
    public DataPlace? FirstNumber => firstNumber;

    /// <summary>Whether the labels are numbers of which one has a fraction, and so no classes.</summary>
    public bool HasFractions =>
        AreNumbers && names.Any(name => LabelValue.Number(name) is { } number && number != Math.Floor(number));

    /// <summary>How many labels a list of 0 and 1 tells of, a place for each: all lists are of this length. Null where
    /// lists hold labels.</summary>
    public int? TableWidth => width >= 2 && tables == lists && emptyLists == 0 ? width : null;

    private bool AreNumbers => names.Count > 0 && names.All(name => LabelValue.Number(name) is not null);

    private bool AreTruths => names.Count > 0 && names.All(name => LabelValue.Truth(name) is not null);

    /// <summary>Takes the names of a row's fields in, for the message where no row has a label.</summary>
    public void AddFields(Sample sample)
    {
        foreach ((string name, JsonNode? _) in sample.Row)
            if (fields.Count < Shown * 2) fields.Add(name);
    }

    /// <summary>Takes a label in.</summary>
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

    /// <summary>Takes a list of labels in.</summary>
    public void AddList(JsonArray list, DataPlace place)
    {
        lists++;
        if (list.Count == 0) emptyLists++;
        width ??= list.Count == 0 ? null : list.Count;
        if (list.Count == width && list.All(value => LabelValue.Flag(value) is not null)) tables++;
        foreach (JsonNode? label in list) Add(label, place);
    }

    /// <summary>The labels of a run: those of the base's head where they fit the data, else the data's,
    /// sorted.</summary>
    /// <param name="config">The base's config.</param>
    /// <param name="notes">Receives by which rule they were read, a sentence each.</param>
    /// <exception cref="InputException">The data has none.</exception>
    public IReadOnlyList<string> Choose(ConfigReader config, ICollection<string> notes)
    {
        if (IsEmpty)
            throw new InputException(
                "The training data has no label. Expected \"label\" or \"labels\" in the rows (\"tags\" or " +
                "\"entities\" for words)" +
            $"{(fields.Count == 0 ? "" : $"; found: {string.Join(", ", fields)}")}. data.columns names fields that " +
                "are called otherwise.");
        if (OfBase(config) is { } own) return own;
        if (AreNumbers && !HasFractions)
        {
            int[] classes = [.. names.Select(LabelValue.ClassNumber).OfType<int>().Distinct().Order()];
            if (classes.Length == 0)
                throw new InputException(
                    $"The labels of the training data are numbers and no classes (such as {names.First()}): a " +
                    "class is a whole number from 0. " +
                    "Set task_options.problem: regression to learn them as numbers, or name all labels under " +
                        "task_options.labels.");
            NoteSpellings(notes);
            notes.Add(
                $"labels are whole numbers, read as {classes.Length} classes; task_options.problem: regression " +
                "learns them as numbers");
            return [.. classes.Select(number => number.ToString(System.Globalization.CultureInfo.InvariantCulture))];
        }
        NoteSpellings(notes);
        if (AreTruths && names.Count > spellings.Count) return [.. spellings.Keys.Order(StringComparer.Ordinal)];
        NoteCase(notes);
        return [.. names.Order(StringComparer.Ordinal)];
    }

    /// <summary>The names of the base's head; null where it has none, or the data others.</summary>
    public IReadOnlyList<string>? OfBase(ConfigReader config)
    {
        if (HeadRequest.LabelNames(config.Root) is not { } own) return null;
        var set = own.ToHashSet();
        return names.All(
            label => set.Contains(label) || (LabelValue.ClassNumber(label) is { } number && number < own.Count)) ? own
            : null;
    }

    private void NoteSpellings(ICollection<string> notes)
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

    private void NoteCase(ICollection<string> notes)
    {
        string[] alike =
            [.. names.GroupBy(name => name.ToUpperInvariant()).Where(group => group.Count() > 1)
            .Select(group => string.Join(" and ", group.Order(StringComparer.Ordinal)))];
        if (alike.Length > 0)
            notes.Add(
                "labels that differ in upper and lower case alone are different ones: " +
                $"{string.Join("; ", alike.Take(Shown))}. Spell them alike where the same is meant");
    }
}
