using System.Net;
using LowRank.Server.Requests;
using Microsoft.AspNetCore.Http;
using Microsoft.Net.Http.Headers;

namespace LowRank.Server;

/// <summary>Lets a request pass, or refuses it: by the name it calls the server (rebinding of names), by the page it
/// comes from, and by its key. It looks at each request before any route does.</summary>
internal sealed class RequestGuard(ServerOptions options)
{
    private readonly bool isLoopback = ListenAddress.TryParse(options.Host)!.IsLoopback;
    private readonly ApiKeys keys = new(options.ApiKeys);

    /// <summary>Whether a text is an origin: scheme, host and perhaps a port.</summary>
    public static bool IsOrigin(string text) => Uri.TryCreate(text, UriKind.Absolute, out Uri? uri)
        && uri.Scheme is "http" or "https" && text == $"{uri.Scheme}://{uri.Authority}";

    /// <summary>Looks at a request.</summary>
    /// <returns>Whether it was answered: a browser's question what pages may do.</returns>
    /// <exception cref="ApiException">It is refused.</exception>
    public bool Answers(HttpContext http)
    {
        HttpRequest request = http.Request;
        if (isLoopback && !IsThisMachine(request.Host.Host))
            throw new ApiException(StatusCodes.Status403Forbidden, ApiException.InvalidRequest,
                $"The host \"{RequestFields.Shortened(request.Host.Value ?? "")}\" is not this server, which listens " +
                "on this machine's own address alone.", null, "host_not_allowed");
        string origin = request.Headers.Origin.ToString();
        bool fromPage = origin.Length > 0 && !IsOwn(origin, request);
        if (fromPage)
        {
            if (!options.CorsOrigins.Contains("*") && !options.CorsOrigins.Contains(origin))
                throw new ApiException(StatusCodes.Status403Forbidden, ApiException.InvalidRequest,
                    $"Pages of {RequestFields.Shortened(origin)} may not call this server.", null,
                    "origin_not_allowed");
            http.Response.Headers.AccessControlAllowOrigin = origin;
            http.Response.Headers.Vary = HeaderNames.Origin;
            if (HttpMethods.IsOptions(request.Method)
                && request.Headers.ContainsKey(HeaderNames.AccessControlRequestMethod))
            {
                Tell(http);
                return true;
            }
        }
        if (request.Path.Value is not ("/health" or "/ready") && !keys.Admits(request))
            throw new ApiException(StatusCodes.Status401Unauthorized, "authentication_error",
                "A valid key is missing. Send it as \"Authorization: Bearer KEY\".", null, "invalid_api_key");
        return false;
    }

    private static void Tell(HttpContext http)
    {
        http.Response.StatusCode = StatusCodes.Status204NoContent;
        http.Response.Headers.AccessControlAllowMethods = "GET, POST, DELETE";
        http.Response.Headers.AccessControlAllowHeaders =
            http.Request.Headers.AccessControlRequestHeaders is { Count: > 0 } asked ? asked
                : "authorization, content-type";
        http.Response.Headers.AccessControlMaxAge = "600";
    }

    private static bool IsOwn(string origin, HttpRequest request) =>
        origin.Equals($"{request.Scheme}://{request.Host.Value}", StringComparison.OrdinalIgnoreCase);

    private static bool IsThisMachine(string host) => host.Equals("localhost", StringComparison.OrdinalIgnoreCase)
        || IPAddress.TryParse(host.Trim('[', ']'), out IPAddress? address) && IPAddress.IsLoopback(address);
}
