using System.Text.Json.Nodes;
using LowRank.Models;

namespace LowRank.Tasks;

/// <summary>Labels as lists of 0 and 1 with one position per label ("multi-hot"), as in transformers for several labels
/// per text.</summary>
internal static class LabelTable
{
    /// <summary>The names of the positions.</summary>
    /// <param name="given">The user's names; null for none.</param>
    /// <param name="width">The length of a list.</param>
    /// <param name="config">The base's config, whose names are used if their number matches.</param>
    /// <param name="notes">Receives how the lists were read.</param>
    /// <exception cref="InputException">The number of names differs.</exception>
    public static IReadOnlyList<string> Names(
        IReadOnlyList<string>? given, int width, ConfigReader config, ICollection<Words> notes)
    {
        if (given is not null && given.Count != width)
            throw new InputException(
                $"\"labels\" are lists of {width} numbers, 0 and 1, and {given.Count} labels are " +
                $"named{KnownSettings.Labels.Aside}. Expected one name for each of the {width} positions.");
        notes.Add($"\"labels\" are lists of 0 and 1, read as one position for each of {width} labels");
        if (given is not null) return new LabelSet(given).Names;
        if (HeadRequest.LabelNames(config.Root) is { } own && own.Count == width) return own;
        notes.Add($"the labels are named by their numbers; name them in their order{KnownSettings.Labels.Aside}");
        return [.. Enumerable.Range(0, width)
            .Select(place => place.ToString(System.Globalization.CultureInfo.InvariantCulture))];
    }

    /// <summary>The values of a list: 1 for labels that apply.</summary>
    /// <exception cref="InputException">The list has another length, or contains other numbers.</exception>
    public static double[] Read(JsonArray list, int width)
    {
        if (list.Count == width && list.All(value => LabelValue.Flag(value) is not null))
            return [.. list.Select(value => LabelValue.Flag(value)!.Value)];
        throw new InputException(
            $"\"labels\" is {list.ToJsonString()}, expected {width} numbers, 0 or 1, one for each label, as in the " +
            "other rows.");
    }
}
