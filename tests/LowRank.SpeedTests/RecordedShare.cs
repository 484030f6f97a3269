namespace LowRank.SpeedTests;

/// <summary>A share that was measured.</summary>
/// <param name="Share">Of the limit.</param>
/// <param name="Limit">The limit, per second.</param>
internal sealed record RecordedShare(double Share, double Limit);

/// <summary>What was measured on one machine.</summary>
/// <param name="Machine">The machine.</param>
/// <param name="Commit">The commit that was measured.</param>
/// <param name="Shares">The shares, by name.</param>
internal sealed record RecordedMachine(string Machine, string Commit, SortedDictionary<string, RecordedShare> Shares);

/// <summary>A kind of processor, and the machines of that kind that were measured.</summary>
/// <param name="Kind">What shares depend on.</param>
/// <param name="Machines">The machines.</param>
internal sealed record RecordedKind(ProcessorKind Kind, IReadOnlyList<RecordedMachine> Machines)
{
    // How much faster than the recorded one a limit may be: the rest of the work is not faster for it.
    private const double Alike = 1.5;

    /// <summary>Whether any machine has a share of this name.</summary>
    public bool Knows(string name) => Machines.Any(machine => machine.Shares.ContainsKey(name));

    /// <summary>The lowest share among the machines whose limit is like the one that was found; null if there is
    /// none.</summary>
    /// <remarks>Machines of a kind differ in memory and in what else their host does. The lowest is what a machine of
    /// this kind is known to reach: a check against the one whose limit is nearest would jump from one record to
    /// another as the memory's speed changes.</remarks>
    public RecordedShare? Lowest(string name, double limit) => Machines
        .Select(machine => machine.Shares.GetValueOrDefault(name)).OfType<RecordedShare>()
        .Where(share => limit <= Alike * share.Limit).MinBy(share => share.Share);

    /// <summary>This kind with one more share; a machine of the same description keeps its others.</summary>
    public RecordedKind With(string machine, string commit, string name, RecordedShare share)
    {
        SortedDictionary<string, RecordedShare> shares =
            new(Machines.FirstOrDefault(known => known.Machine == machine)?.Shares ?? [], StringComparer.Ordinal)
            {
                [name] = share,
            };
        return this with
        {
            Machines = [.. Machines.Where(known => known.Machine != machine), new(machine, commit, shares)],
        };
    }
}
