namespace LowRank.Tokenization.Templates.Runtime;

/// <summary>Python's stable sort.</summary>
internal static class Sorting
{
    /// <summary>Sorts items by their keys; items with equal keys keep their order, descending as well.</summary>
    public static List<object> Sort(
        Renderer renderer, IEnumerable<object> items, Func<object, object> key, bool descending = false)
    {
        var entries = items.Select(item => (Key: key(item), Item: item)).ToArray();
        var buffer = new (object Key, object Item)[entries.Length];
        Sort(entries, buffer, 0, entries.Length, (left, right) => descending
            ? Comparison.Less(renderer, right, left)
            : Comparison.Less(renderer, left, right));
        return [.. entries.Select(entry => entry.Item)];
    }

    private static void Sort(
        (object Key, object Item)[] entries, (object Key, object Item)[] buffer, int start, int end,
        Func<object, object, bool> less)
    {
        if (end - start < 2)
        {
            return;
        }

        var middle = start + ((end - start) / 2);
        Sort(entries, buffer, start, middle, less);
        Sort(entries, buffer, middle, end, less);
        var left = start;
        var right = middle;
        for (var i = start; i < end; i++)
        {
            // From the left unless the right one is truly less: this keeps equal keys in order.
            var takeRight = left == middle || (right < end && less(entries[right].Key, entries[left].Key));
            buffer[i] = takeRight ? entries[right++] : entries[left++];
        }

        Array.Copy(buffer, start, entries, start, end - start);
    }
}
