using LowRank.Hub;

namespace LowRank.Tests.Hub;

internal static class FakeHubOptions
{
    /// <summary>Options of a client that talks to the fake, and waits little.</summary>
    public static HubOptions Options(this FakeHub hub, string cache) => new()
    {
        Endpoint = hub.Endpoint, CacheFolder = cache, FirstWait = TimeSpan.FromMilliseconds(5), PartBytes = 64 << 10,
        Silence = TimeSpan.FromMinutes(5),
    };
}
