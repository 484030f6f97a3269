using System.Text.Json;
using LowRank.Server.Observability;
using LowRank.Server.Responses;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace LowRank.Server.Routes;

/// <summary>GET /health (the process lives), /ready (it takes requests) and /metrics.</summary>
internal static class HealthRoutes
{
    public static void Map(IEndpointRouteBuilder routes, ModelHost host, MetricsPage metrics)
    {
        routes.MapGet("/health", http => Say(http, StatusCodes.Status200OK, "ok"));
        routes.MapGet("/ready", http => Say(http,
            host.Served is null ? StatusCodes.Status503ServiceUnavailable : StatusCodes.Status200OK, host.State));
        // Ollama's clients ask here whether there is a server.
        routes.MapMethods("/", [HttpMethods.Get, HttpMethods.Head], http =>
        {
            http.Response.ContentType = "text/plain; charset=utf-8";
            return http.Response.WriteAsync("LowRank is running", http.RequestAborted);
        });
        routes.MapGet("/metrics", http =>
        {
            http.Response.ContentType = MetricsPage.MediaType;
            return http.Response.WriteAsync(metrics.Write(), http.RequestAborted);
        });
    }

    private static Task Say(HttpContext http, int status, string word)
    {
        http.Response.StatusCode = status;
        http.Response.ContentType = "application/json; charset=utf-8";
        return JsonSerializer.SerializeAsync(
            http.Response.Body, new StatusAnswer(word), ServerJson.Own.StatusAnswer, http.RequestAborted);
    }
}
