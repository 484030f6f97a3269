using System.Runtime.InteropServices;

namespace LowRank.Generation;

/// <summary>A constraint as a network of nodes over bytes, in which nodes may use others like subroutines.</summary>
internal sealed class Grammar
{
    /// <summary>How deep arrays and objects may nest: what readers of JSON take unless told otherwise.</summary>
    public const int MostLevels = 64;

    private const int TooDeep = MostLevels + 1;

    /// <summary>Completes a network.</summary>
    /// <param name="nodes">Its nodes.</param>
    /// <param name="start">The node where texts begin.</param>
    /// <param name="canWrite">Whether a byte can be written alone; others are left out.</param>
    public Grammar(IReadOnlyList<GrammarNode> nodes, int start, Func<byte, bool> canWrite)
    {
        Nodes = [.. nodes];
        Start = start;
        foreach (GrammarNode node in Nodes)
            node.Bytes = [.. node.Bytes.SelectMany(edge => Writable(edge, canWrite))];
        Levels = FindLevels();
        (ClassOf, Representatives) = FindClasses();
    }

    public GrammarNode[] Nodes { get; }

    public int Start { get; }

    /// <summary>How many levels below a node a text nests at least before the end of the node's rule; more than <see
    /// cref="MostLevels"/> if it cannot end.</summary>
    public int[] Levels { get; }

    /// <summary>The class of each byte: no node tells bytes of a class apart.</summary>
    public byte[] ClassOf { get; }

    /// <summary>A byte of each class.</summary>
    public byte[] Representatives { get; }

    /// <summary>Whether it has any text.</summary>
    public bool IsEmpty => Levels[Start] > MostLevels;

    private static IEnumerable<ByteEdge> Writable(ByteEdge edge, Func<byte, bool> canWrite)
    {
        int first = -1;
        for (int value = edge.Low; value <= edge.High + 1; value++)
        {
            bool can = value <= edge.High && canWrite((byte)value);
            if (can && first < 0) first = value;
            if (can || first < 0) continue;
            yield return new ByteEdge((byte)first, (byte)(value - 1), edge.To);
            first = -1;
        }
    }

    // The least fixed point, from the ends backwards.
    private int[] FindLevels()
    {
        var levels = new int[Nodes.Length];
        Array.Fill(levels, TooDeep);
        List<int>[] users = FindUsers();
        Queue<int> open = new(Enumerable.Range(0, Nodes.Length));
        var waits = new bool[Nodes.Length];
        Array.Fill(waits, true);
        while (open.TryDequeue(out int at))
        {
            waits[at] = false;
            int level = Level(Nodes[at], levels);
            if (level >= levels[at]) continue;
            levels[at] = level;
            foreach (int user in users[at])
            {
                if (waits[user]) continue;
                waits[user] = true;
                open.Enqueue(user);
            }
        }
        return levels;
    }

    private static int Level(GrammarNode node, int[] levels)
    {
        int best = node.IsEnd ? 0 : TooDeep;
        foreach (ByteEdge edge in node.Bytes) best = Math.Min(best, levels[edge.To]);
        foreach ((_, int to) in node.Marks) best = Math.Min(best, levels[to]);
        foreach (int to in node.Silent) best = Math.Min(best, levels[to]);
        foreach (RuleCall call in node.Calls)
            best = Math.Min(best, Math.Max(levels[call.Rule] + (call.Nests ? 1 : 0), levels[call.Return]));
        if (node.Loop is { } loop)
            best = Math.Min(best, loop.Min == 0 ? levels[loop.Exit] : Math.Max(levels[loop.Body], levels[loop.Exit]));
        return best;
    }

    private List<int>[] FindUsers()
    {
        List<int>[] users = [.. Nodes.Select(_ => new List<int>(1))];
        for (int at = 0; at < Nodes.Length; at++)
        {
            GrammarNode node = Nodes[at];
            foreach (ByteEdge edge in node.Bytes) users[edge.To].Add(at);
            foreach ((_, int to) in node.Marks) users[to].Add(at);
            foreach (int to in node.Silent) users[to].Add(at);
            foreach (RuleCall call in node.Calls)
            {
                users[call.Rule].Add(at);
                users[call.Return].Add(at);
            }
            if (node.Loop is not { } loop) continue;
            users[loop.Body].Add(at);
            users[loop.Exit].Add(at);
        }
        return users;
    }

    private (byte[] ClassOf, byte[] Representatives) FindClasses()
    {
        var begins = new bool[257];
        begins[0] = true;
        foreach (GrammarNode node in Nodes)
            foreach (ByteEdge edge in node.Bytes) begins[edge.Low] = begins[edge.High + 1] = true;
        var classOf = new byte[256];
        List<byte> representatives = [];
        for (int value = 0; value < 256; value++)
        {
            if (begins[value]) representatives.Add((byte)value);
            classOf[value] = (byte)(representatives.Count - 1);
        }
        return (classOf, [.. representatives]);
    }
}

/// <summary>A node of a grammar.</summary>
internal sealed class GrammarNode
{
    /// <summary>Edges that write a byte.</summary>
    public List<ByteEdge> Bytes { get; set; } = [];

    /// <summary>Edges that write a special token.</summary>
    public List<(int Token, int To)> Marks { get; } = [];

    /// <summary>Nodes that it stands for as well.</summary>
    public List<int> Silent { get; } = [];

    /// <summary>Rules that it uses.</summary>
    public List<RuleCall> Calls { get; } = [];

    /// <summary>The loop that it controls; null for none.</summary>
    public GrammarLoop? Loop { get; set; }

    /// <summary>Whether its rule may end here.</summary>
    public bool IsEnd { get; set; }
}

/// <summary>An edge that writes a byte of a range.</summary>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct ByteEdge(byte Low, byte High, int To);

/// <summary>A use of a rule.</summary>
/// <param name="Rule">Its first node.</param>
/// <param name="Return">The node after it.</param>
/// <param name="Nests">Whether it is one level deeper.</param>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct RuleCall(int Rule, int Return, bool Nests);

/// <summary>A loop that counts.</summary>
/// <param name="Body">The first node of the rule that is repeated.</param>
/// <param name="Min">How often at least.</param>
/// <param name="Max">How often at most; null for any number.</param>
/// <param name="Exit">The node after it.</param>
internal sealed record GrammarLoop(int Body, int Min, int? Max, int Exit);
