using System.Net;

namespace LowRank.Server;

/// <summary>Where a server listens.</summary>
/// <param name="Addresses">The addresses; empty for all of the machine's.</param>
internal sealed record ListenAddress(IReadOnlyList<IPAddress> Addresses)
{
    /// <summary>Whether only this machine reaches it.</summary>
    public bool IsLoopback => Addresses.Count > 0 && Addresses.All(IPAddress.IsLoopback);

    /// <summary>Reads an IP address, localhost or *; null for anything else: no name is looked up.</summary>
    public static ListenAddress? TryParse(string host) => host switch
    {
        "*" or "0.0.0.0" or "::" => new([]),
        "localhost" => new([IPAddress.Loopback]),
        _ => IPAddress.TryParse(host.Trim('[', ']'), out IPAddress? address) ? new([address]) : null,
    };
}
